import cv2
import numpy as np
import pytest
import torch

from mogabench.data.views import normalize
from mogabench.records import Data
from mogabench.tasks import load_recipe
from mogabench.tasks.mesh.code import Parameters, from_axis_angle
from mogabench.tasks.mesh.pictures import MIRRORED_FACE, TrainingPictures, WholePictures, degrade
from mogabench.tasks.mesh.samples import Target, TrainSamples

NOTHING = (
    *("flip=0.0", "shift=0.0", "scale=0.0", "rotation_prob=0.0", "channel_noise=0.0"),
    "low_resolutions=[]",
)


def recipe(*changes, name="expose_face_100e"):
    settings = [f"augment.{change}" for change in (*NOTHING, *changes)]
    return load_recipe(name, overrides=[*settings, "input.size=[64, 64]"])


@pytest.fixture
def dots(tmp_path):
    """A black image with a white dot at each of 73 points of a body, and the target it gives."""
    random = np.random.default_rng(0)
    points = torch.from_numpy(random.uniform(-0.08, 0.08, (1, 73, 3))).float()
    pose = np.array([[0.3, -0.2, 0.4], [0.1, 0.2, -0.3]])
    places = project(points, pose) * 48 + 48
    image = np.zeros((96, 96, 3), np.uint8)
    for x, y in places:
        cv2.circle(image, (round(16 * x), round(16 * y)), 24, (255, 255, 255), -1, cv2.LINE_AA, 4)
    file = tmp_path / "dots.png"
    cv2.imwrite(str(file), image)
    target = Target(places, pose, np.zeros(100), np.full(50, 0.5))
    data = Data(name="dots", split="train", samples=1, digest="0")
    return TrainSamples((file,), (target,), data), points


def project(points, pose, turn=None):
    """Where the points of a body turned by its first rotation are, from -1 to 1."""
    rotation = from_axis_angle(torch.as_tensor(pose[:1]).float())
    turned = points @ (rotation if turn is None else turn @ rotation).mT
    camera = Parameters(turned, turned, turned, torch.full((1, 1), 8.0), torch.zeros(1, 2))
    return camera.project(turned)[0].double().numpy()


@pytest.mark.parametrize(
    "changes",
    [(), ("flip=1.0",), ("rotation=40.0", "rotation_prob=1.0"), ("shift=0.2", "scale=0.3")],
)
def test_key_points_stay_on_their_dots(dots, changes):
    targets, _ = dots
    np.random.seed(3)
    item = TrainingPictures(targets, recipe(*changes))[0]
    assert (item["expression"] == 0.5).all()
    # FLAME's expressions have no mirror images.
    assert item["has_expression"] == ("flip=1.0" not in changes)
    white = normalize(np.full((1, 1, 3), 255, np.uint8))[0, 0, 0]
    places = (item["keypoints"] + 1) * 32
    inside = ((places > 2) & (places < 61)).all(1)
    assert inside.sum() > 30
    for x, y in places[inside].round().int().tolist():
        assert item["inputs"][0, y - 1 : y + 2, x - 1 : x + 2].max() > 0.5 * white


def test_the_pose_goes_with_a_turned_and_mirrored_picture(dots):
    """The body with the item's rotations projects to the item's key points."""
    targets, points = dots
    np.random.seed(1)
    changes = ("flip=1.0", "rotation=40.0", "rotation_prob=1.0")
    item = TrainingPictures(targets, recipe(*changes))[0]
    assert not torch.equal(item["turn"], torch.eye(3))
    mirrored = (points * torch.tensor([-1.0, 1, 1]))[:, list(MIRRORED_FACE)]
    expected = project(mirrored, item["rotations"].numpy(), item["turn"])
    assert item["keypoints"].numpy() == pytest.approx(expected, abs=1e-5)


def test_mirrored_key_points_are_each_others():
    assert [MIRRORED_FACE[place] for place in MIRRORED_FACE] == list(range(73))
    # Of FLAME's names: the eyes, the brows' outer ends, the nose's tip, the lips' corners.
    for place, other in ((3, 4), (5, 14), (21, 21), (24, 33), (36, 42), (48, 52), (56, 72)):
        assert MIRRORED_FACE[place] == other


def test_whole_pictures(dots):
    targets, _ = dots
    item = WholePictures(targets.files, (32, 32))[0]
    image = cv2.imread(str(targets.files[0]))
    shrunk = cv2.warpAffine(image, np.array([[1 / 3, 0, 0], [0, 1 / 3, 0]]), (32, 32))
    torch.testing.assert_close(item["inputs"], normalize(shrunk[..., ::-1]))


def test_lower_resolutions_and_other_colours():
    picture = np.random.default_rng(0).integers(0, 255, (64, 64, 3), dtype=np.uint8)
    assert (degrade(picture, recipe().augment) == picture).all()
    # Linear: lines of 0 and 160 become 80, and the edge beside them goes from 0 to 80 in 4 pixels.
    lines = np.zeros((64, 64, 3), np.uint8)
    lines[::2, 32:] = 160
    coarse = degrade(lines, recipe("low_resolutions=[4.0]").augment)
    assert coarse.shape == lines.shape
    assert (coarse[:, 28:36].transpose(0, 2, 1) == [0, 0, 10, 30, 50, 70, 80, 80]).all()
    np.random.seed(0)
    grey = np.full((2, 2, 3), 100, np.uint8)
    # NumPy draws 0.5488, 0.7152 and 0.6028 of the way from 60 to 140.
    dim = degrade(grey, recipe("channel_noise=0.4").augment)
    assert (dim == [104, 117, 108]).all()
