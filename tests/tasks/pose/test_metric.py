import contextlib
import io
from dataclasses import replace

import numpy as np
import pytest
import torch
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from mogabench.data.views import transform
from mogabench.tasks.pose.data import read_people
from mogabench.tasks.pose.metric import KeypointAP, similarity, suppress
from mogabench.tasks.pose.pictures import PersonPictures
from mogabench.tasks.pose.skeleton import SIGMAS

SIZE = (256, 192)
PERFECT = {"pose_ap": 100, "pose_ap50": 100, "pose_ap75": 100, "pose_ar": 100}


def test_similarity_is_pycocotools(points):
    """Compared with what pycocotools computes for truths of known area."""
    random = np.random.default_rng(1)
    others = points[:1] + random.normal(0, 4, (6, 17, 2))
    truth, results = COCO(), COCO()
    annotation = {"image_id": 1, "category_id": 1, "area": 2500.0, "iscrowd": 0, "bbox": [0] * 4}
    labelled = np.column_stack([points[0], np.full(17, 2)]).ravel().tolist()
    truth.dataset = {
        "images": [{"id": 1}],
        "categories": [{"id": 1}],
        "annotations": [annotation | {"id": 1, "keypoints": labelled, "num_keypoints": 17}],
    }
    with contextlib.redirect_stdout(io.StringIO()):
        truth.createIndex()
        results = truth.loadRes(
            [
                {"image_id": 1, "category_id": 1, "score": 1 - n / 10, "keypoints": flat}
                for n, flat in enumerate(
                    np.concatenate([other, np.ones((17, 1))], 1).ravel().tolist()
                    for other in others
                )
            ]
        )
        evaluation = COCOeval(truth, results, "keypoints")
        evaluation.params.imgIds = [1]
        evaluation._prepare()
    theirs = evaluation.computeOks(1, 1)[:, 0]
    assert similarity(points[0], others, np.full(6, 2500.0)) == pytest.approx(theirs, abs=1e-12)
    assert similarity(points[0], points[:1], np.ones(1)).tolist() == [1]


def test_of_similar_poses_the_best_is_kept(points):
    def pose(keypoints, score):
        return {
            "image": 1,
            "score": score,
            "keypoints": np.column_stack([keypoints, np.ones(17)]),
            "area": 2500.0,
        }

    # Moved so far, every key point has a similarity of exp(-d^2 / (2 (2 sigma)^2 area)).
    far = np.array(SIGMAS) * 2 * 50 * np.sqrt(2)
    slightly = far * np.sqrt(-np.log(0.91))
    clearly = far * np.sqrt(-np.log(0.89))
    best = pose(points[0], 0.9)
    same = pose(points[0] + np.column_stack([slightly, np.zeros(17)]), 0.8)
    other = pose(points[0] + np.column_stack([clearly, np.zeros(17)]), 0.7)
    assert suppress([other, same, best]) == [best, other]
    assert suppress([]) == []


@pytest.fixture
def metric(folder, content):
    people = read_people(folder(content), "val")
    return KeypointAP(people, PersonPictures(people.persons, SIZE))


def picture_points(metric, moved=0.0):
    """The true key points in pixels of the pictures, moved to the right in the images."""
    for index, person in enumerate(metric.people.persons):
        points = person.keypoints[:, :2].copy()
        points[:, 0] += moved
        matrix = metric.pictures.view(index).to_output(SIZE)
        yield np.column_stack([transform(points, matrix), np.ones(17)])


def test_the_truth_scores_100(metric):
    found = torch.from_numpy(np.stack(list(picture_points(metric))))
    for part in (slice(0, 3), slice(3, 4)):
        metric.process({"index": torch.arange(4)[part]}, found[part])
    assert metric.evaluate(4) == pytest.approx(PERFECT)
    assert [pose["image"] for pose in metric.poses] == [7, 7, 9, 9]


def test_moved_points_score_what_they_should(metric):
    """All key points equally wrong relative to their sigmas: an OKS of 0.72 passes 5 of the 10."""
    shift = np.array(SIGMAS) * 2 * np.sqrt(2 * 1000 * -np.log(0.72))
    results = list(enumerate(picture_points(metric, shift)))
    expected = {"pose_ap": 50, "pose_ap50": 100, "pose_ap75": 0, "pose_ar": 50}
    assert metric.compute_metrics(metric.combine(results)) == pytest.approx(expected)


def test_predictions_score_the_same_in_pycocotools_alone(metric, tmp_path):
    metric.predictions = tmp_path / "poses.json"
    shift = np.array(SIGMAS) * 2 * np.sqrt(2 * 1000 * -np.log(0.72))
    found = torch.from_numpy(np.stack(list(picture_points(metric, shift))))
    metric.process({"index": torch.arange(4)}, found)
    expected = metric.evaluate(4)["pose_ap"]
    with contextlib.redirect_stdout(None):
        truth = metric.people.truth
        evaluation = COCOeval(truth, truth.loadRes(str(metric.predictions)), "keypoints")
        evaluation.evaluate()
        evaluation.accumulate()
        evaluation.summarize()
    assert 100 * evaluation.stats[0] == pytest.approx(expected) == 50


def test_a_pose_is_as_sure_as_its_box_and_its_key_points(metric):
    (found, *_) = picture_points(metric)
    found[:5, 2], found[5:, 2] = 0.6, 0.1
    assert metric._pose(0, found)["score"] == pytest.approx(0.6)
    found[:, 2] = 0.1
    assert metric._pose(0, found)["score"] == 0
    half_sure = replace(metric.people.persons[0], score=0.5)
    metric.people = replace(metric.people, persons=(half_sure,))
    found[:, 2] = 0.8
    assert metric._pose(0, found)["score"] == pytest.approx(0.4)


def test_a_missed_person_costs_recall(metric):
    # One of four is missed: recall .75, and precision 1 up to there, at 76 of 101 places.
    results = list(enumerate(picture_points(metric)))[1:]
    metrics = metric.compute_metrics(metric.combine(results))
    assert metrics["pose_ar"] == pytest.approx(75)
    assert metrics["pose_ap"] == pytest.approx(100 * 76 / 101)


def test_persons_in_images_that_cannot_be_read_are_not_missed(metric):
    metric.unread = {0, 1}  # of one image
    found = torch.from_numpy(np.stack(list(picture_points(metric))))
    metric.process({"index": torch.arange(2, 4)}, found[2:])
    assert metric.evaluate(4) == pytest.approx(PERFECT)
