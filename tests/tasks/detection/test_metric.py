"""Average precision against cases whose answer can be worked out."""

import contextlib
import subprocess
import sys

import numpy as np
import pytest
import torch
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from mogabench.data.shapes import sample_shapes
from mogabench.tasks.detection.annotations import read_annotations
from mogabench.tasks.detection.metric import CocoPrecision


@pytest.fixture(scope="module")
def shapes():
    root = sample_shapes() / "coco"
    return read_annotations(root / "annotations" / "instances_val2017.json", root / "val2017")


def outputs(metric, change=lambda corners: corners):
    """The ground truth as a network that finds everything would give it."""
    for number in metric.truth.get_img_ids():
        items = metric.truth.load_anns(metric.truth.get_ann_ids(img_ids=[number]))
        corners = np.array([[*x["bbox"][:2], *np.add(x["bbox"][:2], x["bbox"][2:])] for x in items])
        yield {
            "img_id": number,
            "pred_instances": {
                "bboxes": torch.tensor(change(corners), dtype=torch.float32),
                "scores": torch.linspace(1, 0.5, len(items)),
                "labels": torch.tensor([metric.categories.index(x["category_id"]) for x in items]),
                "masks": torch.tensor(np.stack([metric.truth.annToMask(x) for x in items]) > 0),
            },
        }


def test_the_truth_as_prediction_scores_100_in_boxes_and_masks(shapes):
    metric = CocoPrecision(shapes, masks=True)
    metric.process(None, list(outputs(metric)))
    values = metric.evaluate(0)
    assert set(values) >= {"box_ap", "box_ap50", "box_ap75", "mask_ap", "mask_ap50", "mask_ap75"}
    assert all(value == pytest.approx(100) for value in values.values())


def test_boxes_of_known_overlap_pass_the_thresholds_below_it(shapes):
    def lowered(corners):  # to 0.62 of the height: an overlap of 0.62
        height = corners[:, 3] - corners[:, 1]
        return np.column_stack([corners[:, :3], corners[:, 1] + 0.62 * height])

    metric = CocoPrecision(shapes, masks=False)
    metric.process(None, list(outputs(metric, lowered)))
    values = metric.evaluate(0)
    # Of the thresholds 0.5, 0.55, …, 0.95 the first three are passed. Shapes that overlap one
    # another may match the wrong one, but the images of this sample hold none so close.
    assert values["box_ap50"] == pytest.approx(100)
    assert values["box_ap"] == pytest.approx(30)
    assert values["box_ap75"] == 0


def test_evaluating_leaves_the_predictions_as_they_were(shapes):
    metric = CocoPrecision(shapes, masks=False)
    (first, *_) = outputs(metric)
    before = first["pred_instances"]["bboxes"].clone()
    metric.process(None, [first])
    assert torch.equal(first["pred_instances"]["bboxes"], before)


def test_nothing_found_scores_0(shapes):
    metric = CocoPrecision(shapes, masks=True)
    values = metric.evaluate(0)
    assert values["box_ap"] == values["mask_ap"] == 0


def test_images_that_cannot_be_read_count_neither_way(shapes):
    metric = CocoPrecision(shapes, masks=False)
    metric.process(None, list(outputs(metric))[2:])
    assert metric.evaluate(0)["box_ap"] < 99
    metric.process(None, list(outputs(metric))[2:])
    metric.unread = {0, 1}
    assert metric.evaluate(0)["box_ap"] == pytest.approx(100)


def test_predictions_score_the_same_in_pycocotools_alone(shapes, tmp_path):
    def shifted(corners):
        return corners + 0.1 * (corners[:, 2:] - corners[:, :2]).mean()

    metric = CocoPrecision(shapes, masks=True)
    metric.predictions = tmp_path / "found.json"
    metric.process(None, list(outputs(metric, shifted)))
    values = metric.evaluate(0)
    assert 10 < values["box_ap"] < 90
    for kind, name in (("bbox", "box_ap"), ("segm", "mask_ap")):
        with contextlib.redirect_stdout(None):
            truth = COCO(shapes.path)
            evaluation = COCOeval(truth, truth.loadRes(str(metric.predictions)), kind)
            evaluation.evaluate()
            evaluation.accumulate()
            evaluation.summarize()
        assert 100 * evaluation.stats[0] == pytest.approx(values[name], abs=1e-6)


def test_precision_by_class(shapes):
    """One class is found, the others never; their mean is the AP."""
    metric = CocoPrecision(shapes, masks=False)
    samples = list(outputs(metric))
    for sample in samples:
        found = sample["pred_instances"]
        kept = found["labels"] == 1
        sample["pred_instances"] = {key: value[kept] for key, value in found.items()}
    metric.process(None, samples)
    ap = metric.evaluate(0)["box_ap"]
    by_class = metric.by_class["Box AP (%)"]
    assert list(by_class) == list(shapes.classes)
    assert [round(value, 6) for value in by_class.values()] == [0, 100, *[0] * (len(by_class) - 2)]
    assert ap == pytest.approx(np.mean(list(by_class.values())))


ENCODE = """
import resource, torch
from mogabench.tasks.detection.metric import CocoPrecision
def peak():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
metric = CocoPrecision.__new__(CocoPrecision)
metric.results, metric.categories, metric.kinds = [], [1], ["box", "mask"]
mask = torch.zeros(3000, 4000, dtype=torch.bool)
mask[500:2500, 500:3500] = True
found = {"bboxes": torch.zeros(100, 4), "scores": torch.ones(100)}
found |= {"labels": torch.zeros(100, dtype=torch.int64), "masks": mask.expand(100, -1, -1)}
before = peak()
metric.process(None, [{"img_id": 1, "pred_instances": found}])
print(len(metric.results), peak() - before)
"""


@pytest.mark.slow
def test_a_hundred_masks_of_a_large_photograph_are_encoded_one_by_one():
    """At once their 1.2 GB would be there twice; here they are one mask's memory, seen often."""
    ran = subprocess.run([sys.executable, "-c", ENCODE], capture_output=True, check=True, text=True)
    encoded, mebibytes = map(int, ran.stdout.split())
    assert encoded == 100
    assert mebibytes < 200
