"""PASCAL VOC photographs with COCO annotations, from labelme's source distribution."""

import os
from contextlib import redirect_stdout
from pathlib import Path

import numpy as np
import pytest
import torch
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from mogabench.tasks.detection.annotations import read_annotations
from mogabench.tasks.detection.metric import CocoPrecision

EXAMPLES = os.environ.get("LABELME_EXAMPLES")
pytestmark = pytest.mark.skipif(
    EXAMPLES is None,
    reason="needs LABELME_EXAMPLES=…/examples of labelme-6.3.1's source",
)


@pytest.fixture
def photographs():
    return Path(EXAMPLES) / "instance_segmentation" / "data_dataset_coco"


def test_repaired_ids_let_the_truth_score_100(photographs):
    annotations = read_annotations(photographs / "annotations.json", photographs)
    assert annotations.repairs == (
        "its annotations' ids are below 1 or repeated, and were counted from 1 instead",
    )
    metric = CocoPrecision(annotations, masks=True)
    for number in metric.truth.get_img_ids():
        items = metric.truth.load_anns(metric.truth.get_ann_ids(img_ids=[number]))
        boxes = np.array([x["bbox"] for x in items])
        found = {
            "bboxes": torch.tensor(np.hstack([boxes[:, :2], boxes[:, :2] + boxes[:, 2:]])),
            "scores": torch.ones(len(items)),
            "labels": torch.tensor([metric.categories.index(x["category_id"]) for x in items]),
            "masks": torch.tensor(np.stack([metric.truth.annToMask(x) for x in items]) > 0),
        }
        metric.process(None, [{"img_id": number, "pred_instances": found}])
    values = metric.evaluate(0)
    assert values["box_ap"] == pytest.approx(100)
    assert values["mask_ap"] == pytest.approx(100)


def test_without_repair_pycocotools_misses_one(photographs):
    with redirect_stdout(None):
        truth = COCO(str(photographs / "annotations.json"))
        results = [
            {key: item[key] for key in ("image_id", "category_id", "bbox")} | {"score": 1.0}
            for item in truth.dataset["annotations"]
        ]
        evaluation = COCOeval(truth, truth.loadRes(results), "bbox")
        evaluation.evaluate()
        evaluation.accumulate()
        evaluation.summarize()
    assert evaluation.stats[0] < 0.96
