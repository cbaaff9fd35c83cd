import hashlib
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from mogabench.engine.loading import evaluation_loader, training_loader
from mogabench.errors import UserError
from mogabench.tasks.video import recorded
from mogabench.tasks.video.data import fit_digits, open_sources, read_images

DEBIAN = Path("/usr/share/datasets/fashion-mnist")


def batches(job, epoch=0):
    training, *_ = open_sources(job, 12)
    loader = training_loader(job, training, 4)
    loader.sampler.start(epoch, 0)
    return torch.cat([batch["frames"] for batch in loader])


def test_training_follows_from_seed_and_epoch_alone(job):
    alone = batches(job())
    assert alone.shape == (12, 20, 1, 64, 64)
    assert alone.dtype == torch.uint8
    assert torch.equal(alone, batches(job(workers=2)))
    assert not torch.equal(alone, batches(job(), epoch=1))
    assert not torch.equal(alone, batches(job(seed=1)))
    assert len({frames.numpy().tobytes() for frames in alone}) == 12


def test_a_resumed_epoch_goes_on_with_the_same_sequences(job):
    training, *_ = open_sources(job(), 12)
    loader = training_loader(job(), training, 4)
    loader.sampler.start(0, 8)
    (last,) = [batch["frames"] for batch in loader]
    assert torch.equal(last, batches(job())[8:])


def test_without_recorded_sequences_the_test_is_drawn_and_always_the_same(job, folder):
    (folder / "t10k-images").mkdir()  # Kaggle's folder has one beside each file
    _, test, _ = open_sources(job(), 1)
    assert (test.identity.split, test.identity.samples) == ("test", 10_000)
    assert test.identity.name == "folder:shapes"
    _, again, _ = open_sources(job(seed=7), 1)
    first, same = (split.collate([split.items[5]])["frames"] for split in (test, again))
    assert torch.equal(first, same)
    assert test.identity == again.identity


VIDEO = np.random.default_rng(0).integers(256, size=(20, 3, 64, 64), dtype=np.uint8)


@pytest.mark.parametrize(
    ("name", "dtype", "beside"),
    [
        ("mnist_test_seq.npy", np.uint8, ()),
        # What OpenSTL's script downloads, and what its other one writes.
        ("mnist_test_seq.npy", np.uint8, ("fmnist_test_seq.npy", "mnist_cifar_test_seq.npy")),
        ("fmnist_test_seq.npy", np.float32, ()),
    ],
)
def test_recorded_sequences_come_first(job, folder, name, dtype, beside):
    np.save(folder / name, VIDEO.astype(dtype))
    for other in beside:
        np.save(folder / other, np.zeros((20, 1, 64, 64, 3), np.uint8))
    _, test, _ = open_sources(job(), 1)
    assert (test.identity.name, test.identity.samples) == (f"file:{name}", 3)
    (batch,) = evaluation_loader(job(), test, 16)
    assert batch["frames"].dtype == torch.uint8
    assert np.array_equal(batch["frames"].numpy()[:, :, 0], VIDEO.swapaxes(0, 1))


def test_the_official_sequences_are_known_by_their_digest(job, folder, monkeypatch):
    np.save(folder / "mnist_test_seq.npy", VIDEO)
    md5 = hashlib.md5((folder / "mnist_test_seq.npy").read_bytes()).hexdigest()
    monkeypatch.setattr(recorded, "_OFFICIAL_TEST_MD5", md5)
    _, test, _ = open_sources(job(), 1)
    assert test.identity.name == "moving-mnist"


def test_several_recordings_are_refused_by_name(job, folder):
    for name in ("a_test_seq.npy", "b_test_seq.npy"):
        np.save(folder / name, VIDEO)
    with pytest.raises(UserError, match=r"a_test_seq\.npy, b_test_seq\.npy: keep only the one to"):
        open_sources(job(), 1)


@pytest.mark.parametrize("value", [0.5, 256.0, -1.0, np.nan])
def test_recorded_numbers_that_are_no_bytes_are_refused(job, folder, value):
    video = VIDEO.astype(np.float32)
    video[0, 1, 0, 0] = value
    np.save(folder / "mnist_test_seq.npy", video)
    _, test, _ = open_sources(job(), 1)
    with pytest.raises(UserError, match=r"holds float32 .* in sequence 1; it should hold whole"):
        list(evaluation_loader(job(), test, 16))


@pytest.mark.parametrize("shape", [(20, 3, 32, 32), (10, 3, 64, 64), (20, 64, 64)])
def test_refuses_recorded_sequences_of_another_shape(job, folder, shape):
    np.save(folder / "mnist_test_seq.npy", np.zeros(shape, np.uint8))
    with pytest.raises(UserError, match=r"should hold uint8 \(20, N, 64, 64\)"):
        open_sources(job(), 1)


def test_reads_images_from_idx_and_npy(folder, tmp_path):
    images = read_images(folder / "train-images-idx3-ubyte.gz")
    assert images.shape == (50, 28, 28)
    assert set(np.unique(images)) == {0, 255}
    np.save(tmp_path / "images.npy", images)
    assert np.array_equal(read_images(tmp_path / "images.npy"), images)


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a", b"\x00\x00\x08\x01" + bytes(20)),
        ("a", b"short"),
        ("a.gz", b"not gzip"),
        ("a", b"\x00\x00\x08\x03\x00\x00\x00\x05\x00\x00\x00\x1c\x00\x00\x00\x1c" + bytes(9)),
        ("a.npy", b"\x93NUMPY"),
    ],
)
def test_refuses_what_is_no_file_of_images(tmp_path, name, content):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(UserError, match="cannot read"):
        read_images(tmp_path / name)


@pytest.mark.parametrize("content", [b"<!doctype html>", b"version https://git-lfs", b""])
def test_a_page_in_the_place_of_an_array_is_no_array(job, folder, content):
    """NumPy would advise to load it unsafely."""
    (folder / "mnist_test_seq.npy").write_bytes(content)
    says = r"^cannot read [^\n]*/mnist_test_seq\.npy: its content is neither \.npy nor \.npz$"
    with pytest.raises(UserError, match=says):
        open_sources(job(), 1)


def test_refuses_arrays_of_another_type(tmp_path):
    np.save(tmp_path / "a.npy", np.zeros((3, 28, 28)))
    with pytest.raises(UserError, match=r"holds float64 \(3, 28, 28\)"):
        read_images(tmp_path / "a.npy")


def test_errors_of_an_incomplete_folder(job, folder, tmp_path):
    (folder / "t10k-images-idx3-ubyte").unlink()
    with pytest.raises(UserError, match=r"no t10k-images\* and no \*test_seq.npy"):
        open_sources(job(), 1)
    with pytest.raises(UserError, match="there is no folder"):
        open_sources(job(data=str(tmp_path / "nowhere")), 1)
    coloured = job().subject.model_copy(update={"input_size": (10, 3, 64, 64)})
    with pytest.raises(UserError, match="not 10x3x64x64"):
        open_sources(replace(job(), subject=coloured), 1)
    small = job().subject.model_copy(update={"input_size": (10, 1, 24, 24)})
    with pytest.raises(UserError, match="28x28 for frames of 24x24: they must be square"):
        open_sources(replace(job(), subject=small), 1)


@pytest.mark.skipif(not DEBIAN.is_dir(), reason="needs apt-get install dataset-fashion-mnist")
def test_knows_fashion_mnist(job):
    training, test, _ = open_sources(job(data=str(DEBIAN)), 1)
    assert (training.identity.name, training.identity.samples) == ("moving-fashion-mnist", 60_000)
    assert test.identity.name == "moving-fashion-mnist"


@pytest.mark.parametrize(("canvas", "side"), [(64, 28), (32, 14), (16, 7), (48, 28), (8, 28)])
def test_digits_shrink_with_the_frame(canvas, side):
    images = np.random.default_rng(0).integers(256, size=(3, 28, 28), dtype=np.uint8)
    fitted = fit_digits(images, canvas)
    # Pillow's box filter takes means, too; halves are rounded up there, to even here.
    boxes = [Image.fromarray(image).resize((side, side), Image.Resampling.BOX) for image in images]
    assert fitted.dtype == np.uint8
    assert np.abs(fitted.astype(int) - np.stack(boxes)).max() <= (side < 28)
