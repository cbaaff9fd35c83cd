"""Meshes of images without a data set: where they lie, and what they need."""

import numpy as np
import pytest
import torch

from mogabench.errors import UserError
from mogabench.tasks.mesh.code import Parameters
from mogabench.tasks.mesh.data import read_body
from mogabench.tasks.mesh.drawing import in_picture


def test_vertices_lie_where_the_loss_projects_them():
    torch.manual_seed(0)
    vertices, nothing = torch.randn(1, 20, 3), torch.zeros(1, 0)
    found = Parameters(nothing, nothing, nothing, torch.tensor([[3.0]]), torch.randn(1, 2))
    expected = 50 * (1 + found.project(vertices)[0].numpy())  # from -1 and 1 to 0 and 100 pixels
    seen = in_picture(vertices[0].numpy(), found.scale[0].numpy(), found.shift[0].numpy(), 100)
    np.testing.assert_allclose(seen[:, :2], expected, rtol=1e-5, atol=1e-4)
    np.testing.assert_allclose(seen[:, 2], 150 * vertices[0, :, 2], rtol=1e-5)


def test_the_sample_has_a_body_model_and_other_weights_ask_for_theirs(monkeypatch, tmp_path):
    assert len(read_body("expose_hand", "sample-hands").faces)
    monkeypatch.setenv("MOGABENCH_CACHE", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UserError, match=r"MANO_RIGHT\.pkl is missing"):
        read_body("expose_hand", "freihand")
    with pytest.raises(UserError, match=r"generic_model\.pkl is missing"):
        read_body("expose_face")
