"""Readers of files that others wrote, each with a sound file."""

import gzip
import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np
from PIL import Image

from mogabench.data.classes import read_class_names
from mogabench.data.idx import as_class_folders
from mogabench.ops import provide_mmcv_ops
from mogabench.paper import Paper
from mogabench.paper.skeleton import write_skeleton
from mogabench.recipes import load
from mogabench.sweeps.missing import _tables
from mogabench.sweeps.plan import expand, read_plan
from mogabench.tables.beside import read_source
from mogabench.tables.checking import check_table
from mogabench.tasks.classification import TASK
from mogabench.tasks.mesh.arrays import read_npz
from mogabench.tasks.mesh.faces import Scan, _landmarks
from mogabench.tasks.mesh.freihand import read_train_samples
from mogabench.tasks.pose.data import read_people
from mogabench.tasks.pose.skeleton import KEYPOINTS
from mogabench.tasks.video.clips import read_clips
from mogabench.tasks.video.data import read_images
from mogabench.yaml_text import parse_yaml

provide_mmcv_ops()
from mogabench.tasks.detection.annotations import read_annotations  # noqa: E402

IMAGES = [
    {"id": number, "file_name": f"{number}.png", "height": 30, "width": 40} for number in (7, 9)
]
RECTANGLE = [[2, 2, 20, 2, 20, 22, 2, 22]]
RUNS = {"size": [30, 40], "counts": [600, 20, 580]}


def of_object(number, image, **more):
    box = {"bbox": [2, 2, 18, 20], "area": 360.5, "iscrowd": 0}
    return {"id": number, "image_id": image, "category_id": 1, **box, **more}


INSTANCES = {
    "images": IMAGES,
    "annotations": [
        of_object(1, 7, segmentation=RECTANGLE),
        of_object(2, 9, segmentation=RECTANGLE),
        of_object(3, 9, segmentation=RUNS, iscrowd=1),
    ],
    "categories": [{"id": 1, "name": "cat"}, {"id": 3, "name": "dog"}],
}
PEOPLE = {
    "images": IMAGES,
    "annotations": [
        of_object(1, 7, keypoints=[5, 6, 2] * 17, num_keypoints=17),
        of_object(2, 9, keypoints=[5, 6, 1] * 17, num_keypoints=17),
    ],
    "categories": [{"id": 1, "name": "person", "keypoints": list(KEYPOINTS)}],
}
BOXES = [{"image_id": 7, "category_id": 1, "bbox": [1, 1, 9, 9], "score": 0.5}]
HANDS = {
    "K": [[[500.0, 0, 112], [0, 500, 112], [0, 0, 1]]],
    "xyz": [[[0.01 * number, 0.0, 0.6] for number in range(21)]],
    "mano": [[[0.1] * 61]],
}
RECIPE = (
    b"extends: sample_digits\nseed: 3\nbatch_size: 32\nschedule: {epochs: 2, warmup_epochs: 0}\n"
    b"optimizer: {lr: 1e-3, weight_decay: 0.05}\naugment:\n  mixup: 0.8\n  hflip: 0.5\n"
)
PLAN = (
    b"- run: classification\n  backbone: [resnet18, resnet50]\n  data: sample\n  train: true\n"
    b"  seeds: 3\n- profile: resnet18\n  task: [pose, video]\n- tables: [1, 2]\n"
    b"  paper: convnext\n  papers:\n"
)
TABLE = """task,method,backbone,input_size,pretraining,options,Architecture,Size,Params,FLOPs,Top-1
classification,classifier,resnet50,224x224,none,,ResNet-50,224²,25.6M,4.1G,76.1%
classification,classifier,moganet_tiny,224x224,none,"{""gate"": false}",MogaNet-T,224²,5.2M,1.1G,—
"""
VOCABULARY = b"""
label: Architecture
columns:
  Params: {metric: params, unit: M}
  FLOPs: {metric: operations, options: {gate: true}}
  Top-1: {metric: top1, overrides: {recipe: in1k_300e}}
groups: {A: {overrides: {input_size: 256x256}}}
descriptive: [Architecture, Size]
measured: {Memory: {metric: memory, unit: MB, device: cpu, runtime: openvino}}
"""
ERRATA = b"""
"1":
  remarks: [A text.]
  cells:
    - {row: ResNet-50, column: Params, reason: A reason., should_be: 25.6M}
    - row: ResNet-50
      column: [FLOPs]
      reason: A reason.
      printed_is: {text: t, times: 2.0, convention: matmul, without: 'layer1|.*bn', rounding: up}
"""
MARKS = [(-30, 40, 0), (-10, 40, 0), (10, 40, 0), (30, 40, 0), (0, 0, 20), (-20, -30, 0)]
MARKS.append((20, -30, 0))
SCAN = b"# A scan.\nv 1.5 20 10\nv -4 2e1 12.25\nv 900 0 0\nvt 0 1\nf 1/1 2/1 3/1\n"
TIMM = b"model,img_size,param_count,top1\nresnet18.a1_in1k,224,11.69,71.49\nresnet50,224,25.56,80\n"


def array(*shape):
    return np.arange(np.prod(shape), dtype=np.uint8).reshape(shape)


def as_npy(content):
    file = io.BytesIO()
    np.save(file, content)
    return file.getvalue()


def as_npz(**arrays):
    file = io.BytesIO()
    np.savez_compressed(file, **arrays)
    return file.getvalue()


def idx(kind, content):
    head = b"\0\0\x08" + bytes([content.ndim])
    return head + b"".join(size.to_bytes(4, "big") for size in content.shape) + content.tobytes()


def with_images(folder):
    for split in ("train2017", "val2017"):
        (folder / split).mkdir(parents=True)
        for number in (7, 9):
            Image.new("RGB", (40, 30)).save(folder / split / f"{number}.png")


def with_hands(folder):
    place = folder / "training" / "rgb"
    place.mkdir(parents=True)
    Image.new("RGB", (8, 8)).save(place / "00000000.jpg")
    for name, content in HANDS.items():
        (folder / f"training_{name}.json").write_text(json.dumps(content))


def with_idx(folder):
    for part in ("train", "t10k"):
        (folder / f"{part}-images-idx3-ubyte").write_bytes(idx(3, array(2, 3, 3)))
        (folder / f"{part}-labels-idx1-ubyte").write_bytes(idx(1, array(2)))


def clips(file):
    return read_clips(file, (1, 9, 9), "NTCHW", [])


def set_in_a_recipe(file):
    return load("sample_digits", TASK, overrides=[file.read_text(errors="surrogateescape")])


def read_whole_plan(file):
    return [(_tables if "tables" in entry else expand)(entry) for entry in read_plan(file)]


def with_paper(folder):
    write_skeleton("mine", folder)


def read_paper(file):
    """What ``paper check`` reads, of the table that is in the skeleton's place."""
    return check_table(Paper("mine", file.parent).table("1"))


class Reader(NamedTuple):
    """What reads a file.

    Attributes:
        file: Its place in a folder.
        sound: What it may hold: a document of JSON, or bytes.
        read: Reads it.
        prepare: Writes what lies beside it.
    """

    file: str
    sound: object
    read: Callable[[Path], object]
    prepare: Callable[[Path], None] = lambda _: None


def hands(name):
    return Reader(
        f"training_{name}.json",
        HANDS[name],
        lambda file: read_train_samples(file.parent, np.zeros((15, 3))),
        with_hands,
    )


READERS = {
    "instances": Reader(
        "a.json",
        INSTANCES,
        lambda file: read_annotations(file, file.parent / "val2017", masks=True),
        with_images,
    ),
    "people": Reader(
        "annotations/person_keypoints_val2017.json",
        PEOPLE,
        lambda file: read_people(file.parent.parent, "val"),
        with_images,
    ),
    "boxes": Reader(
        "boxes.json",
        BOXES,
        lambda file: read_people(file.parent, "val", boxes=file),
        lambda folder: (
            with_images(folder),
            (folder / "annotations").mkdir(),
            (folder / "annotations" / "person_keypoints_val2017.json").write_text(
                json.dumps(PEOPLE)
            ),
        ),
    ),
    "cameras": hands("K"),
    "hands": hands("mano"),
    "scan": Reader("a.obj", SCAN, lambda file: Scan(file, np.array(MARKS, float)).points()),
    "landmarks": Reader(
        "a.lnd",
        "".join(f"{n} {x} {y} {z}\n" for n, (x, y, z) in enumerate(MARKS, 1)).encode(),
        _landmarks,
    ),
    "npz": Reader("a.npz", as_npz(a=array(3, 4), b=np.ones(3)), read_npz),
    "npy": Reader("a.npy", as_npy(array(4, 8, 8)), read_images),
    "clips": Reader("a.npy", as_npy(array(2, 4, 1, 9, 9)), clips),
    "clips-npz": Reader(
        "a.npz",
        as_npz(a=array(2, 4, 1, 9, 9)),
        clips,
    ),
    "idx": Reader(
        "train-images-idx3-ubyte",
        idx(3, array(2, 3, 3)),
        lambda file: as_class_folders(file.parent),
        with_idx,
    ),
    "idx-gz": Reader("a.gz", gzip.compress(idx(3, array(2, 3, 3)), mtime=0), read_images),
    "recipe": Reader("a.yaml", RECIPE, lambda file: load(file, TASK)),
    "set": Reader("a.txt", b"augment.rand_augment=9/0.5", set_in_a_recipe),
    "plan": Reader("a.yaml", PLAN, read_whole_plan),
    "plan-values": Reader("a.yaml", parse_yaml(PLAN.decode()), read_whole_plan),
    "beside": Reader("a.csv", TIMM, lambda file: read_source("timm", file)),
    "table": Reader("mine/table_1_An_example.csv", TABLE.encode(), read_paper, with_paper),
    "vocabulary": Reader("mine/vocabulary.yaml", VOCABULARY, read_paper, with_paper),
    "errata": Reader("mine/errata.yaml", ERRATA, read_paper, with_paper),
    "classes": Reader("a.txt", b"cat\ndog\n", read_class_names),
}


def as_bytes(sound) -> bytes:
    return sound if isinstance(sound, bytes) else json.dumps(sound).encode()


def place_of(reader: Reader, folder: Path) -> Path:
    """The file of a reader in a folder with all that lies beside it."""
    folder.mkdir(parents=True, exist_ok=True)
    reader.prepare(folder)
    file = folder / reader.file
    file.parent.mkdir(parents=True, exist_ok=True)
    return file
