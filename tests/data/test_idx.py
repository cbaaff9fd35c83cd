"""IDX files as class folders, by their bytes written out by hand, and by torchvision's reader."""

import gzip
import hashlib
import shutil
import struct
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from torchvision.datasets.mnist import read_image_file, read_label_file

from mogabench.data import idx
from mogabench.data.digits import sample_digits
from mogabench.data.identity import data_name
from mogabench.data.idx import as_class_folders, read_idx
from mogabench.data.shapes import sample_shapes
from mogabench.errors import UserError
from mogabench.tasks.mesh.sample import sample_hands
from mogabench.tasks.pose.sample import sample_figures

IMAGES = np.arange(3 * 2 * 4, dtype=np.uint8).reshape(3, 2, 4)


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.setenv("MOGABENCH_CACHE", str(tmp_path / "cache"))
    root = tmp_path / "Own digits"
    root.mkdir()
    for part in ("train", "t10k"):
        images = bytes([0, 0, 8, 3]) + struct.pack(">3I", 3, 2, 4) + IMAGES.tobytes()
        (root / f"{part}-images-idx3-ubyte").write_bytes(images)
        labels = bytes([0, 0, 8, 1]) + struct.pack(">I", 3) + bytes([7, 0, 7])
        with gzip.open(root / f"{part}-labels-idx1-ubyte.gz", "wb") as file:
            file.write(labels)
    return root


def test_reads_what_torchvision_reads(folder):
    images = folder / "train-images-idx3-ubyte"
    assert np.array_equal(read_idx(images), read_image_file(str(images)).numpy())
    labels = folder / "labels"
    labels.write_bytes(gzip.decompress((folder / "train-labels-idx1-ubyte.gz").read_bytes()))
    assert read_idx(labels).tolist() == read_label_file(str(labels)).tolist() == [7, 0, 7]


def test_images_lie_in_the_folders_of_their_labels(folder):
    written = as_class_folders(folder)
    assert written.name.startswith("idx-own-digits-")
    found = {str(file.relative_to(written)) for file in written.rglob("*.png")}
    assert found == {
        f"{split}/{name}.png"
        for split in ("train", "val")
        for name in ("7/00000", "0/00001", "7/00002")
    }
    assert np.array_equal(np.asarray(Image.open(written / "val/0/00001.png")), IMAGES[1])
    assert as_class_folders(folder) == written


@pytest.mark.parametrize("place", [".", "..", "Own digits"])
def test_the_name_is_the_folders_wherever_it_is_given_from(place, folder, monkeypatch):
    (folder / "within").mkdir()
    monkeypatch.chdir({".": folder, "..": folder / "within"}.get(place, folder.parent))
    assert data_name(as_class_folders(Path(place))) == "idx-own-digits"


def test_names_that_common_programs_leave_are_known(folder):
    """Kaggle's and 7-Zip's have a dot, Kaggle's are in folders, too; torchvision keeps archives."""
    written = as_class_folders(folder)
    for part in ("train", "t10k"):
        with gzip.open(folder / f"{part}-labels-idx1-ubyte.gz") as file:
            (folder / f"{part}-labels-idx1-ubyte").write_bytes(file.read())
    assert as_class_folders(folder) == written
    for file in list(folder.iterdir()):
        file.rename(folder / file.name.replace("-idx", ".idx"))
    (folder / "train-images-idx3-ubyte").mkdir()
    assert as_class_folders(folder) == written


def test_only_what_the_project_writes_is_named_by_its_folder(folder, tmp_path, monkeypatch):
    assert data_name(as_class_folders(folder)) == "idx-own-digits"
    for known in ("mnist", "fashion-mnist"):
        digest = hashlib.sha256(IMAGES.tobytes()).hexdigest()
        monkeypatch.setattr(idx, "_KNOWN", {digest: known})
        assert data_name(as_class_folders(folder)) == known
        shutil.rmtree(tmp_path / "cache")
    monkeypatch.setattr("mogabench.data.cache._write", lambda place, _: place.mkdir())
    samples = {sample_digits: "digits", sample_shapes: "shapes"}
    samples |= {sample_hands: "hands", sample_figures: "figures"}
    for sample, name in samples.items():
        assert data_name(sample() / "coco") == f"sample-{name}"


@pytest.mark.parametrize(
    "name", ["ade20k-mini", "coco", "imagenet-1k", "mnist-2", "idx-flowers", "samples-1/coco", "."]
)
def test_data_of_the_users_in_the_cache_is_named_as_anywhere(name, tmp_path, monkeypatch):
    monkeypatch.setenv("MOGABENCH_CACHE", str(tmp_path))
    root = tmp_path / name
    assert data_name(root) == f"folder:{root.name}"
    assert data_name(root, "ffhq") == "ffhq"


def test_other_folders_are_none_and_bad_files_are_named(folder, tmp_path):
    assert as_class_folders(tmp_path) is None
    images = folder / "t10k-images-idx3-ubyte"
    images.write_bytes(images.read_bytes()[:-1])
    with pytest.raises(UserError, match=r"cannot read .*t10k-images"):
        as_class_folders(folder)
    images.write_bytes(bytes([0, 0, 8, 3]) + struct.pack(">3I", 1, 2, 4) + bytes(8))
    with pytest.raises(UserError, match=r"holds \(1, 2, 4\) and .* \(3,\)"):
        as_class_folders(folder)
    images.unlink()
    with pytest.raises(UserError, match=r"has 0 files t10k-images\*"):
        as_class_folders(folder)
