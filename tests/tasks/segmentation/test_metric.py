"""The metric against figures worked out by hand."""

import pytest
import torch

from mogabench.errors import UserError
from mogabench.tasks.segmentation.metric import Overlap


def sample(truth, prediction):
    return {
        "gt_sem_seg": {"data": torch.tensor([truth])},
        "pred_sem_seg": {"data": torch.tensor([prediction])},
    }


def test_the_figures_by_hand():
    metric = Overlap(("road", "sky", "tree", "none of these"))
    metric.process(
        {}, [sample([[0, 0, 1], [1, 255, 2]], [[0, 1, 1], [1, 2, 2]]), sample([[0, 0]], [[0, 2]])]
    )
    # Without the ignored pixel: road 2 of 4 found and no other taken for it; sky 2 of 2, and one
    # pixel of road; tree 1 of 1, and one of road. The fourth class occurs nowhere.
    assert metric.evaluate(2) == {
        "miou": pytest.approx(100 * (2 / 4 + 2 / 3 + 1 / 2) / 3, abs=0.005),
        "macc": pytest.approx(100 * (2 / 4 + 1 + 1) / 3, abs=0.005),
        "aacc": pytest.approx(100 * 5 / 7, abs=0.005),
    }


def test_the_next_evaluation_starts_anew():
    metric = Overlap(("road", "sky"))
    metric.process({}, [sample([[0, 1]], [[1, 1]])])
    assert metric.evaluate(1)["miou"] == (0 + 50) / 2
    metric.process({}, [sample([[1, 1]], [[1, 1]])])
    assert metric.evaluate(1)["miou"] == 100


def test_masks_without_a_class_have_no_figures():
    metric = Overlap(("road", "sky"))
    metric.process({}, [sample([[255, 255]], [[1, 1]])])
    with pytest.raises(UserError, match="no pixel of the validation masks has a class"):
        metric.evaluate(1)
