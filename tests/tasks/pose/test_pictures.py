from dataclasses import replace

import cv2
import numpy as np
import pytest
import torch

from mogabench.data.views import View, transform
from mogabench.engine.randomness import seed_everything
from mogabench.errors import UserError
from mogabench.tasks import load_recipe
from mogabench.tasks.pose.augment import random_view
from mogabench.tasks.pose.data import Person
from mogabench.tasks.pose.heatmaps import decode
from mogabench.tasks.pose.pictures import PersonPictures, TrainingPictures
from mogabench.tasks.pose.recipe import PoseAugment
from mogabench.tasks.pose.skeleton import KEYPOINTS, MIRRORED, STRIDE

SIZE = (256, 192)
OFF = PoseAugment(flip=0, half_body=0, shift=0, shift_prob=0, scale=0, rotation=0, rotation_prob=0)
VIEW = View((100.0, 100.0), 120.0, 0.0)


@pytest.fixture
def recipe():
    exact = ["targets.encoding=unbiased"]
    return load_recipe("simple_baseline_256x192", variant="s", overrides=exact)


@pytest.fixture
def marked(tmp_path):
    """A person in a black image with a white dot at the left wrist."""
    keypoints = np.random.default_rng(0).uniform(60, 140, (17, 3))
    keypoints[:, 2] = 2
    keypoints[KEYPOINTS.index("left_wrist"), :2] = 120, 90
    image = np.zeros((200, 200, 3), np.uint8)
    cv2.circle(image, (120, 90), 4, (255, 255, 255), -1)
    cv2.imwrite(str(tmp_path / "a.png"), image)
    return Person(1, tmp_path / "a.png", np.array([55.0, 55.0, 90.0, 90.0]), keypoints=keypoints)


def test_targets_stay_on_what_they_mark(marked, recipe):
    """Through every augmentation the dot at the left wrist is where a wrist's Gaussian is."""
    pictures = TrainingPictures((marked,), recipe)
    wrist, other = (KEYPOINTS.index(f"{side}_wrist") for side in ("left", "right"))
    seen = set()
    for number in range(40):
        seed_everything(number)
        item = pictures[0]
        found = decode(item["targets"][None], "taylor")[0, :, :2].numpy() * STRIDE
        picture = item["inputs"][0].numpy()
        picture = np.where(picture > 0, picture - picture.min(), 0)
        rows, columns = np.mgrid[: SIZE[0], : SIZE[1]]
        dot = np.array([(columns * picture).sum(), (rows * picture).sum()]) / picture.sum()
        if not (30 < dot[0] < SIZE[1] - 30 and 30 < dot[1] < SIZE[0] - 30):
            continue
        distances = np.linalg.norm(found[[wrist, other]] - dot, axis=1)
        assert distances.min() < 0.5
        seen.add(int(distances.argmin()))
    assert seen == {0, 1}, "as it is, and mirrored"


def test_without_augmentation_the_view_is_that_of_evaluation(marked, recipe):
    still = recipe.model_copy(update={"augment": OFF})
    trained, tested = (
        kind((marked,), of)[0]
        for kind, of in ((TrainingPictures, still), (PersonPictures, recipe.input.size))
    )
    assert torch.equal(trained["inputs"], tested["inputs"])
    matrix = View.around(marked.box, SIZE, padding=1.25).to_output(SIZE)
    expected = transform(marked.keypoints[:, :2], matrix)
    found = decode(trained["targets"][None], "taylor")[0, :, :2].numpy() * STRIDE
    assert np.abs(found - expected).max() < 0.1
    assert trained["weights"].tolist() == [1] * 17


def test_an_unreadable_image_is_named(marked):
    marked.file.write_bytes(b"")
    with pytest.raises(UserError, match=f"^cannot read the image {marked.file}: it is empty$"):
        PersonPictures((marked,), SIZE)[0]


def test_an_image_of_another_size_than_annotated_is_named(marked):
    assert PersonPictures((replace(marked, image_size=(200, 200)),), SIZE)[0]
    message = rf"^the image {marked.file} is of 200x200 pixels, but its annotations say 90x100$"
    with pytest.raises(UserError, match=message):
        PersonPictures((replace(marked, image_size=(100, 90)),), SIZE)[0]


def views(augment, keypoints, count=2000):
    seed_everything(0)
    return [random_view(VIEW, keypoints, SIZE, augment) for _ in range(count)]


def keypoints(labelled):
    """Key points at random places, the first so many labelled."""
    points = np.random.default_rng(0).uniform(60, 140, (17, 3))
    points[:, 2] = np.arange(17) < labelled
    return points


def test_how_far_augmentation_goes():
    augment = PoseAugment(
        flip=0.5, half_body=0, shift=0.16, shift_prob=0.3, scale=0.5, rotation=40, rotation_prob=0.6
    )
    drawn = views(augment, keypoints(17))
    scales = np.array([view.width for view in drawn]) / VIEW.width
    assert (scales.min(), scales.max()) == (0.5, 1.5)
    assert np.mean((scales > 0.5) & (scales < 1.5)) == pytest.approx(0.683, abs=0.03)
    angles = np.array([view.rotation for view in drawn])
    assert (angles.min(), angles.max()) == (-80, 80)
    assert np.mean(angles == 0) == pytest.approx(0.4, abs=0.03)
    moves = np.array([view.center for view in drawn]) - VIEW.center
    assert np.mean(moves.any(1)) == pytest.approx(0.3, abs=0.03)
    assert np.abs(moves).max(0) == pytest.approx([0.16 * 120, 0.16 * 160], rel=0.01)
    assert np.mean([view.mirrored for view in drawn]) == pytest.approx(0.5, abs=0.03)


def test_half_bodies():
    augment = OFF.model_copy(update={"half_body": 1.0})
    points = np.array([[100.0, 50.0, 1.0]] * 11 + [[100.0, 150.0, 1.0]] * 6)
    points[0, :2], points[16, :2] = (144, 138), (106, 150)
    # Around the mean of a half's points, half as large again as their box of 44x88 (as one of 66 in
    # the input's shape) or 6x0.
    upper, lower = View((104.0, 58.0), 99.0), View((101.0, 150.0), 9.0)
    drawn = views(augment, points)
    assert set(drawn) == {upper, lower}
    # mmpose draws from a normal distribution, of which 69 % are below 0.5.
    assert drawn.count(upper) / len(drawn) == pytest.approx(0.691, abs=0.03)
    # A half in one place, such as the corner that stands for "not there" elsewhere, has no size.
    nowhere = points.copy()
    nowhere[11:, :2] = 0
    assert set(views(augment, nowhere)) == {upper, VIEW}
    # Too few key points to take half of them, and too few of the lower body.
    for labelled, only in ((8, VIEW), (13, upper)):
        points[:, 2] = np.arange(17) < labelled
        assert set(views(augment, points, 50)) == {only}


def test_the_other_side_of_the_other_side():
    assert [MIRRORED[other] for other in MIRRORED] == list(range(17))
    assert KEYPOINTS[MIRRORED[KEYPOINTS.index("left_knee")]] == "right_knee"
