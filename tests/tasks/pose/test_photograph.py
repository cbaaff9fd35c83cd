"""On the annotated photograph of an animal that the package imgaug ships, where it is installed."""

import json
from importlib.util import find_spec
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch

from mogabench.data.views import transform
from mogabench.engine.job import Job
from mogabench.engine.run import run
from mogabench.subject import Subject
from mogabench.tasks import load_recipe
from mogabench.tasks.pose import TASK
from mogabench.tasks.pose.data import read_people
from mogabench.tasks.pose.heatmaps import decode, encode
from mogabench.tasks.pose.pictures import PersonPictures
from mogabench.tasks.pose.skeleton import KEYPOINTS, STRIDE

SPEC = find_spec("imgaug")
pytestmark = pytest.mark.skipif(SPEC is None, reason="needs pip install --no-deps imgaug==0.4.0")

HUMAN = {"ear_tip": "ear", "eye": "eye", "paw": "wrist"}
SIZE = (64, 64)
COPIES = 16


@pytest.fixture
def root(tmp_path):
    """COCO's folder of the photograph: many times to train on, once to evaluate."""
    home = Path(SPEC.origin).parent
    given = json.loads((home / "quokka_annotations.json").read_text())
    (box,) = given["bounding_boxes"]
    keypoints = np.zeros((17, 3))
    for point in given["keypoints"]:
        part, _, side = point["label"].rpartition("_")
        name = f"{side}_{HUMAN[part]}" if part else side
        keypoints[KEYPOINTS.index(name)] = point["x"], point["y"], 2
    width, height = box["x2"] - box["x1"], box["y2"] - box["y1"]
    animal = {
        "category_id": 1,
        "bbox": [box["x1"], box["y1"], width, height],
        "area": width * height / 2,
        "iscrowd": 0,
        "num_keypoints": 7,
        "keypoints": keypoints.ravel().tolist(),
    }
    pixels = cv2.imread(str(home / "quokka.jpg"))
    image = {"height": pixels.shape[0], "width": pixels.shape[1]}
    (tmp_path / "annotations").mkdir()
    for split, copies in (("train", COPIES), ("val", 1)):
        (tmp_path / f"{split}2017").mkdir()
        names = [f"{number}.jpg" for number in range(1, copies + 1)]
        for name in names:
            (tmp_path / f"{split}2017" / name).write_bytes((home / "quokka.jpg").read_bytes())
        numbered = list(enumerate(names, 1))
        content = {
            "images": [image | {"id": n, "file_name": name} for n, name in numbered],
            "annotations": [animal | {"id": n, "image_id": n} for n, _ in numbered],
            "categories": [{"id": 1, "name": "person"}],
        }
        file = tmp_path / "annotations" / f"person_keypoints_{split}2017.json"
        file.write_text(json.dumps(content))
    return tmp_path


def test_its_key_points_survive_the_way_through_the_heat_maps(root):
    (animal,) = read_people(root, "val").persons
    view = PersonPictures((animal,), (256, 192)).view(0)
    there = transform(animal.keypoints[:, :2], view.to_output((256, 192))) / STRIDE
    labelled = animal.keypoints[:, 2] > 0
    maps, weights = encode(there, labelled, (64, 48), sigma=2.0)
    assert weights.sum() == 7
    found = decode(torch.from_numpy(maps)[None], "taylor")[0, :, :2].numpy() * STRIDE
    back = transform(found, view.to_image((256, 192)))
    # A tenth of a pixel of the network's input is 0.3 of the photograph's.
    assert np.abs(back - animal.keypoints[:, :2])[labelled].max() < 0.1 * view.width / 192


@pytest.mark.slow
def test_a_network_learns_it(root, tmp_path):
    recipe = load_recipe(
        "sample_figures",
        overrides=[
            "batch_size=16",
            "schedule={policy: step, epochs: 40, milestones: [35], evaluate_every: 40}",
            "augment.flip=0",
            "test={flip: false, decoding: taylor}",
        ],
    )
    subject = Subject(
        task="pose", method="simple_baseline", backbone="test_resnet", input_size=SIZE
    )
    job = Job(
        subject,
        recipe,
        str(root),
        TASK.Options(),
        work_dir=tmp_path / "work",
        train=True,
        workers=0,
    )
    outcome = run(job, TASK)
    assert outcome.metrics["pose_ap"] > 90
