"""Sequences of the user's own."""

import re
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

from mogabench import load
from mogabench.checkpoints import Description, save_checkpoint
from mogabench.errors import UserError
from mogabench.models.simvp import SimVP
from mogabench.tasks import get_task
from mogabench.tasks.video.clips import open_clips
from mogabench.tasks.video.data import read_images
from mogabench.tasks.video.metric import FrameQuality
from mogabench.tasks.video.model import FramePredictor
from mogabench.tasks.video.recorded import open_recorded

SIZE = (3, 8, 12)
RANDOM = np.random.default_rng(0)
CLIPS = RANDOM.integers(0, 256, (2, 11, *SIZE), np.uint8)
"""(N, T, C, H, W)"""


def frames(source):
    return np.stack([np.asarray(source.items[n]) for n in range(len(source.items))])


def opened(root, layout=None, size=SIZE, length=5):
    return open_clips(root, "test", length, size, layout)


def expected():
    """Two windows of five frames from each clip; the eleventh frame is left over."""
    return np.concatenate([np.stack([clip[:5], clip[5:10]]) for clip in CLIPS])


@pytest.mark.parametrize(
    ("axes", "layout"),
    [((0, 1, 2, 3, 4), None), ((0, 1, 3, 4, 2), "NTHWC"), ((1, 0, 2, 3, 4), "TNCHW")],
)
def test_arrays_of_any_layout(tmp_path, axes, layout):
    array = CLIPS.transpose(axes)
    np.save(tmp_path / "val.npy", array)
    if layout is None:  # (2, 11, …) may also be two frames of eleven clips
        with pytest.raises(UserError, match=r"may be NTCHW or TNCHW: choose by --layout$"):
            opened(tmp_path)
    source, notes = opened(tmp_path, layout or "NTCHW")
    assert np.array_equal(frames(source), expected())
    assert source.identity.samples == 4
    assert notes == [
        "val.npy: 4 sequences of 5 frames from 2 clips",
        "val.npy: left out 2 frames at the ends of clips, too few for a sequence",
    ]


def test_a_folder_of_arrays_and_of_frames(tmp_path):
    place = tmp_path / "test"
    (place / "b").mkdir(parents=True)
    np.savez(place / "a.npz", clip=CLIPS[0].transpose(0, 2, 3, 1))  # (T, H, W, C): no other fits
    for number, frame in enumerate(CLIPS[1]):
        Image.fromarray(frame.transpose(1, 2, 0)).save(place / "b" / f"frame{number}.png")
    (place / "b" / "notes.txt").write_text("")
    (place / ".DS_Store").write_text("")
    source, notes = opened(tmp_path)
    assert np.array_equal(frames(source), expected())  # frame10 comes after frame9
    assert notes[1:3] == [
        "test: left out hidden and system files or folders: 1, such as .DS_Store",
        "test: left out files that are not sequences: 1 .txt",
    ]


def write_frames(root, *arrays):
    """Writes grey frames ``(H, W)`` as TIFF, all in one folder."""
    place = root / "val" / "a"
    place.mkdir(parents=True)
    for number, array in enumerate(arrays):
        Image.fromarray(array).save(place / f"{number}.tiff")
    return place


@pytest.mark.parametrize("channels", [1, 3])
def test_floating_point_frames_keep_their_fade(tmp_path, channels):
    """Also beside a frame of bytes."""
    fade = np.linspace(1, 0.2, 5, dtype=np.float32)[:, None, None] * RANDOM.random(
        (8, 12), np.float32
    )
    last = np.full((8, 12), 51, np.uint8)
    write_frames(tmp_path, *fade[:4], last)
    (found,) = frames(opened(tmp_path, size=(channels, 8, 12))[0])
    assert found.dtype == np.float32
    assert np.array_equal(found[:4], np.repeat(fade[:4, None], channels, 1))
    assert found[4] == pytest.approx(0.2)


@pytest.mark.parametrize(
    ("array", "message"),
    [
        (np.full((8, 12), 65_536, np.int32), "has integers beyond 16 bits; it should have 8 or 16"),
        (np.full((8, 12), -1, np.int32), "has integers beyond 16 bits"),
        (np.full((8, 12), 1.5, np.float32), "from 1.5 to 1.5; floats should lie within 0 and 1"),
        (np.zeros((8, 9), np.uint8), "is of 9x8 pixels, not 12x8"),
    ],
)
def test_frames_of_unknown_range_or_another_size_are_refused(tmp_path, array, message):
    write_frames(tmp_path, *[array] * 5)
    source, _ = opened(tmp_path)
    with pytest.raises(UserError, match=rf"^[^\n]*0\.tiff [^\n]*{message}"):
        source.items[0]


def test_frames_that_are_in_no_folder_are_refused(tmp_path):
    place = write_frames(tmp_path, *np.zeros((5, 8, 12), np.uint8))
    place.rename(tmp_path / "test")
    place.parent.rmdir()
    says = (
        f"{tmp_path}/test holds frames: put the frames of each sequence into a folder below test/"
    )
    with pytest.raises(UserError, match=f"^{says}$"):
        opened(tmp_path)


@pytest.mark.parametrize(("name", "write"), [("frames", Path.mkdir), ("a.avi", Path.touch)])
def test_sequences_in_folders_of_classes_are_refused(tmp_path, name, write):
    """Beside others they would be left out, as a folder without frames."""
    place = write_frames(tmp_path, *np.zeros((5, 8, 12), np.uint8))
    (place.parent / "boxing").mkdir()
    opened(tmp_path)
    write(place.parent / "boxing" / name)
    says = f"boxing has no frames but {name}: sequences should lie in {place.parent.name}/ itself"
    with pytest.raises(UserError, match=f"^[^\n]*/{says}$"):
        opened(tmp_path)


def test_a_link_to_nothing_is_not_passed_over(tmp_path):
    """The figure would be of fewer sequences, without a word."""
    (tmp_path / "val").mkdir()
    np.save(tmp_path / "val" / "a.npy", CLIPS[0])
    (tmp_path / "val" / "b.npy").symlink_to("elsewhere.npy")
    with pytest.raises(UserError, match=r"^cannot read [^\n]*/b\.npy: [^\n]*No such file"):
        opened(tmp_path, "TCHW")


def test_predict_finds_sequences_as_an_evaluation_does(tmp_path):
    """Frames alone are one sequence; beside files of sequences an image is none of them."""
    small = {"encoder_dim": 8, "hidden_dim": 16, "depth": 2}
    how = {"network": "convmixer", "input_size": (2, 1, 8, 12), "options": small}
    torch.save(SimVP("convmixer", input_size=(2, 1, 8, 12), **small).state_dict(), tmp_path / "w")
    place = write_frames(tmp_path, *np.zeros((3, 8, 12), np.uint8))
    predictor = load(tmp_path / "w", task="video", **how)
    (place / "times.csv").write_text("")
    assert [item.name for item in predictor.find([str(place)])] == ["a"]
    np.save(place / "b.npy", np.zeros((4, 8, 12), np.uint8))
    assert [item.name for item in predictor.find([str(place)])] == ["b.npy"]
    assert predictor.notes == (
        "left out files that are not frames: 1 .csv",
        "left out files that are not sequences: 1 .csv, 3 .tiff",
    )


def test_bytes_beside_floats_are_scaled_alike(tmp_path):
    place = tmp_path / "val"
    place.mkdir()
    np.save(place / "a.npy", CLIPS[0, :5])
    np.save(place / "b.npy", CLIPS[0, :5] / 255)
    source, _ = opened(tmp_path, "TCHW")
    first, second = source.collate([source.items[0], source.items[1]])["frames"]
    assert torch.allclose(first, second) and float(first.max()) <= 1


def test_the_sequences_length_is_part_of_their_identity(tmp_path):
    np.save(tmp_path / "val.npy", CLIPS[:, :10])
    digests = {opened(tmp_path, "NTCHW", length=length)[0].identity.digest for length in (6, 7, 8)}
    assert len(digests) == 3  # of as many sequences each


def test_floats_stay_as_they_are(tmp_path):
    values = RANDOM.random((5, 8, 12))
    np.save(tmp_path / "val.npy", values)
    source, _ = opened(tmp_path, size=(1, 8, 12))
    assert np.array_equal(frames(source)[0, :, 0], values.astype(np.float32))


@pytest.mark.parametrize(
    ("array", "message"),
    [
        (CLIPS.astype(np.float32), "holds numbers from 0 to 255; floats should lie within 0 and 1"),
        (np.full((5, *SIZE), np.nan), "holds numbers from nan to nan"),
        (np.zeros((5, *SIZE), np.int64), "holds int64; it should hold uint8"),
        (np.zeros((0, 5, *SIZE), np.uint8), "holds no sequences"),
        (np.zeros((4, *SIZE), np.uint8), "val.npy has no sequence of 5 frames"),
        (np.zeros((5, 3, 16, 12), np.uint8), "give --size Tx3x16x12, T being"),
    ],
)
def test_what_is_refused(tmp_path, array, message):
    np.save(tmp_path / "val.npy", array)
    layout = {5: "NTCHW", 4: "TCHW"}[array.ndim]
    with pytest.raises(UserError, match=f"^[^\n]*{message}[^\n]*$"):
        opened(tmp_path, layout)


class Falling(nn.Module):
    """Each frame one grey darker than the one a network of as many frames saw."""

    def forward(self, seen):
        return seen - 0.01 * seen.shape[1]


@pytest.mark.parametrize("name", ["val.npy", "mnist_test_seq.npy", "t10k-images.npy"])
def test_bytes_of_0_and_1_are_refused_and_a_black_file_is_not(tmp_path, name):
    """They would be divided by 255, and every squared error be 65 025 times too small."""
    shape = (3, 28, 28) if name.startswith("t10k") else (20, 3, 64, 64)
    array = np.zeros(shape, np.uint8)

    def read():
        np.save(tmp_path / name, array)
        if name == "val.npy":
            return open_clips(tmp_path, "test", 3, (1, 64, 64), "NTHW")
        if name.startswith("t10k"):
            return read_images(tmp_path / name)
        return open_recorded(tmp_path / name, 20, 64)

    read()
    array[-1, 1, 0] = 1
    with pytest.raises(UserError, match=rf"^[^\n]*/{name} holds numbers up to 1, but white is 255"):
        read()
    array[-1, 2, 0] = 2
    read()


def test_one_of_several_sequences_may_be_almost_black(tmp_path):
    (tmp_path / "val").mkdir()
    for name, white in (("dark", 1), ("light", 200)):
        np.save(tmp_path / "val" / f"{name}.npy", np.full((6, 3, 8, 8), white, np.uint8))
    source, _ = open_clips(tmp_path, "test", 6, (3, 8, 8), "TCHW")
    assert len(source.items) == 2
    (tmp_path / "val" / "light.npy").unlink()
    with pytest.raises(UserError, match="val holds numbers up to 1"):
        open_clips(tmp_path, "test", 6, (3, 8, 8), "TCHW")


@pytest.mark.parametrize("length", [1, 3, 7])
def test_more_frames_come_from_predicted_ones(length):
    """Frames of brightness 1, .99, .98, … continue without a break, however many are asked for."""
    brightness = 1 - 0.01 * torch.arange(3 + length)
    video = brightness[None, :, None, None, None].expand(2, -1, 1, 8, 8).contiguous()
    model = FramePredictor(Falling(), seen=3, predicted=length).eval()
    predicted = model.predict(video)
    assert torch.allclose(predicted, video[:, 3:])
    assert float(model.loss(video)["loss"]) == pytest.approx(0, abs=1e-12)
    metric = FrameQuality(3)
    metric.process({"frames": video}, list(predicted))
    assert metric.evaluate(2)["mse"] == pytest.approx(0, abs=1e-9)
    copied = 64 * np.mean([(0.01 * n) ** 2 for n in range(1, length + 1)])
    assert metric.baseline["mse"] == pytest.approx(copied, rel=1e-4)


@pytest.mark.slow
def test_a_command_trains_on_a_folder_and_says_what_it_predicts(tmp_path, mogabench):
    for name in ("train", "val"):
        np.save(tmp_path / f"{name}.npy", RANDOM.integers(0, 256, (4, 7, 3, 16, 24), np.uint8))
    out, _ = mogabench(
        *("run", "video", "--translator", "moganet", "--size", "2x3x16x24", "--in-frames", "2"),
        *("--data", tmp_path, "--train", "--out-frames", "5", "--layout", "NTCHW", "-q"),
        *("--recipe", "sample_video", "--set", "schedule.epochs=1", "--set", "batch_size=2"),
        *("--set", "model.encoder_dim=8", "--set", "model.hidden_dim=16", "--set", "model.depth=2"),
        *("--work-dir", "work", "--results", "results"),
    )
    assert "predicts 5 frames from 2, feeding its predictions back" in out
    assert "val.npy: 4 sequences of 7 frames from 4 clips" in out
    with Image.open(tmp_path / "work" / "predictions.png") as picture:
        assert picture.mode == "RGB" and picture.size == (5 * 26 + 2, 4 * 3 * 18 + 2)

    again = ("run", "video", "--data", tmp_path, "--weights", "work/weights.pth", "-q")
    for more, says in (((), True), (("--out-frames", "5"), False)):
        out, _ = mogabench(*again, "--layout", "NTCHW", *more, "--results", "results")
        assert ("the weights were trained to predict 5 (--out-frames 5)" in out) == says
        assert "4 sequences of" in out


def test_the_frames_that_are_seen_are_part_of_the_size():
    task = get_task("video")
    options = task.Options(in_frames=4)
    assert task.Options().input_size((10, 1, 64, 64)) == (10, 1, 64, 64)
    assert options.input_size((10, 1, 64, 64)) == (4, 1, 64, 64)
    assert options.input_size((4, 3, 8, 12), given_by="--size 4x3x8x12") == (4, 3, 8, 12)


@pytest.mark.parametrize("given", [("--size", "10x1x64x64"), ("--weights", "weights.pth")])
def test_frames_other_than_those_of_the_size_or_the_weights_are_refused(mogabench, given):
    stated = Description("video", "simvp", "gsta", input_size=(10, 1, 64, 64))
    save_checkpoint(
        Path("weights.pth"), {"state_dict": {"a": torch.ones(1)}, "meta": stated.to_meta()}
    )
    asked = ("--translator", "gsta", "--data", ".", "--in-frames", "5")
    _, error = mogabench("run", "video", *asked, *given, status=2)
    assert error == (
        f"mogabench: --in-frames 5 contradicts the 10 input frames of {' '.join(given)}: "
        "leave it out\n"
    )


def test_loading_takes_the_frames_that_are_seen_for_a_part_of_the_size(tmp_path):
    file = tmp_path / "weights.pth"
    save_checkpoint(file, {"state_dict": {"a": torch.ones(1)}, "meta": {}})
    with pytest.raises(UserError, match="released at 10x1x64x64 pixels, not at 4x1x64x64"):
        load("official", task="video", network="moganet", in_frames=4)
    with pytest.raises(UserError, match="--in-frames 4 contradicts the 5 input frames of --size"):
        load(file, task="video", network="gsta", input_size=(5, 1, 64, 64), in_frames=4)


def write_video(file, frames):
    """Writes frames ``(T, H, W, 3)`` in RGB."""
    height, width = frames.shape[1:3]
    codec = cv2.VideoWriter_fourcc(*("mp4v" if file.suffix == ".mp4" else "MJPG"))
    writer = cv2.VideoWriter(str(file), codec, 25, (width, height))
    assert writer.isOpened()
    for frame in frames:
        writer.write(frame[..., ::-1].copy())
    writer.release()


@pytest.mark.parametrize("name", ["a.avi", "a.mp4"])
@pytest.mark.parametrize("channels", [1, 3])
def test_a_folder_of_videos(tmp_path, name, channels):
    """Each frame has a brightness of its own, and its left half is red."""
    moments = np.arange(40, 232, 16, np.uint8)  # 12 frames
    frames = np.repeat(moments, 16 * 32 * 3).reshape(-1, 16, 32, 3)
    frames[:, :, :16, 1:] = 0
    (tmp_path / "val").mkdir()
    write_video(tmp_path / "val" / name, frames)
    source, notes = opened(tmp_path, size=(channels, 16, 32))
    found = source.collate([source.items[0], source.items[1]])["frames"]
    assert found.shape == (2, 5, channels, 16, 32) and found.dtype == torch.uint8
    middle = found[..., 8, 24].flatten(0, 1).float()  # of the right half
    assert torch.allclose(middle, torch.from_numpy(moments[:10, None]).float(), atol=4)
    left = found[..., 8, 6].flatten(0, 1).float()
    of_red = [1, 0, 0] if channels == 3 else [0.299]
    expected = torch.from_numpy(moments[:10, None]).float() * torch.tensor(of_red)
    assert torch.allclose(left, expected, atol=12)
    assert notes[0] == "val: 2 sequences of 5 frames from 1 clips"


@pytest.mark.parametrize("name", ["a.avi", "a.mp4"])
def test_windows_in_order_are_one_pass_and_in_any_order_the_same(tmp_path, name, monkeypatch):
    write_video(tmp_path / name, RANDOM.integers(0, 256, (40, 16, 32, 3), np.uint8))
    (tmp_path / name).rename(tmp_path / name.replace("a.", "val."))
    source, _ = opened(tmp_path, size=(3, 16, 32), length=4)
    passes, real = [], cv2.VideoCapture

    class Counting:
        def __init__(self, file):
            self.video = real(file)
            passes.append(0)

        def grab(self):
            passes[-1] += 1
            return self.video.grab()

        def read(self):
            passes[-1] += 1
            return self.video.read()

    monkeypatch.setattr(cv2, "VideoCapture", Counting)
    in_order = frames(source)
    assert passes == [40]
    for number in (7, 2, 3, 9, 0):
        assert np.array_equal(source.items[number], in_order[number])
    assert len(passes) == 4  # begun anew for 7, 2 and 0


@pytest.mark.parametrize("name", ["val.avi", "val.mp4"])
def test_a_video_that_was_replaced_is_read_anew(tmp_path, name):
    """Its last frames, which lie behind all that was read of the video before."""
    for length, grey in ((5, 40), (20, 200)):
        write_video(tmp_path / name, np.full((length, 16, 32, 3), grey, np.uint8))
        source, _ = opened(tmp_path, size=(1, 16, 32))
        assert source.items[len(source.items) - 1].float().mean() == pytest.approx(grey, abs=4)


def test_videos_that_are_none_or_of_another_size(tmp_path):
    (tmp_path / "val.mp4").write_bytes(b"no video")
    with pytest.raises(UserError, match=r"^cannot read the video .*val\.mp4$"):
        opened(tmp_path)
    write_video(tmp_path / "val.mp4", np.zeros((6, 16, 32, 3), np.uint8))
    with pytest.raises(UserError, match=r"frames of 16x32 .* takes 8x12: give --size Tx3x16x32"):
        opened(tmp_path)


def test_a_truncated_video_is_noted(tmp_path):
    file = tmp_path / "val.avi"
    write_video(file, np.random.default_rng(0).integers(0, 256, (12, 16, 32, 3), np.uint8))
    content = file.read_bytes()
    file.write_bytes(content[: len(content) * 3 // 4])
    source, notes = opened(tmp_path, size=(3, 16, 32), length=2)
    assert re.fullmatch(r"val\.avi: \d of the 12 frames of val\.avi can be decoded", notes[1])
    frames = int(notes[1].split()[1])
    assert len(source.items) == frames // 2
    for number in range(frames // 2):
        assert source.items[number].shape == (2, 3, 16, 32)
