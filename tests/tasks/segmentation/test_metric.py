"""The metric against figures worked out by hand."""

import io
import zipfile

import numpy as np
import pytest
import torch
from PIL import Image

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
    figures = metric.evaluate(2)
    assert metric.by_class["IoU (%)"] == pytest.approx({"road": 50, "sky": 200 / 3, "tree": 50})
    assert metric.by_class["Acc (%)"] == pytest.approx({"road": 50, "sky": 100, "tree": 100})
    assert figures == {
        "miou": pytest.approx(100 * (2 / 4 + 2 / 3 + 1 / 2) / 3, abs=0.005),
        "macc": pytest.approx(100 * (2 / 4 + 1 + 1) / 3, abs=0.005),
        "aacc": pytest.approx(100 * 5 / 7, abs=0.005),
    }


def test_confusions_by_hand(tmp_path):
    metric = Overlap(("road", "sky", "tree"))
    metric.confusion = tmp_path / "confusions.csv"
    metric.process(
        {}, [sample([[0, 0, 1], [1, 255, 2]], [[0, 1, 1], [1, 2, 2]]), sample([[0, 0]], [[0, 2]])]
    )
    metric.evaluate(2)
    assert metric.confusion.read_text().splitlines() == [
        "true \\ predicted,road,sky,tree",
        "road,2,1,1",
        "sky,0,2,0",
        "tree,0,0,1",
    ]


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


@pytest.mark.parametrize("first_id", [0, 1])
def test_the_archive_of_predictions_has_the_ids_of_the_masks(tmp_path, first_id):
    metric = Overlap(("road", "sky"), first_id)
    metric.predictions = tmp_path / "masks.zip"
    for name, row in (("val/town/b.jpg", [1, 0]), ("val/a.tif", [0, 1])):
        metric.process({}, [{**sample([[0, 1]], [row]), "img_path": f"/data/{name}"}])
    metric.evaluate(2)
    with zipfile.ZipFile(metric.predictions) as archive:
        masks = {
            name: np.asarray(Image.open(io.BytesIO(archive.read(name)))).tolist()
            for name in archive.namelist()
        }
    expected = {"a.png": [0, 1], "town/b.png": [1, 0]}
    assert masks == {name: [[i + first_id for i in row]] for name, row in expected.items()}
