import multiprocessing
import os
import signal
import time

import pytest
import torch

from mogabench.checkpoints import read_state_dict, save_checkpoint
from mogabench.errors import UserError


def _payload(value, size=10):
    return {"state_dict": {"w": torch.full((size,), float(value))}, "epoch": value}


def test_saved_file_reads_back_and_nothing_else_is_left(tmp_path):
    path = tmp_path / "new" / "last.pth"
    for epoch in (1, 2):
        save_checkpoint(path, _payload(epoch))
    checkpoint = read_state_dict(path)
    assert torch.equal(checkpoint.state_dict["w"], torch.full((10,), 2.0))
    assert checkpoint.meta["epoch"] == 2
    assert list(path.parent.iterdir()) == [path]


def test_no_space_leaves_the_earlier_checkpoint(tmp_path, small_files_only):
    path = tmp_path / "last.pth"
    save_checkpoint(path, _payload(1))
    refused = pytest.raises(UserError, match=r"cannot write the checkpoint .*last\.pth: File too")
    with refused, small_files_only():
        save_checkpoint(path, _payload(2, size=100_000))
    assert read_state_dict(path).meta["epoch"] == 1
    assert list(tmp_path.iterdir()) == [path]


def test_folder_that_cannot_be_made(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(UserError, match="cannot write the checkpoint"):
        save_checkpoint(tmp_path / "file" / "last.pth", _payload(1))


def test_object_that_could_not_be_read_back_is_refused(tmp_path):
    path = tmp_path / "last.pth"
    save_checkpoint(path, _payload(1))
    with pytest.raises(TypeError, match="LeakyReLU"):
        save_checkpoint(path, {"model": torch.nn.LeakyReLU()})
    assert read_state_dict(path).meta["epoch"] == 1
    assert list(tmp_path.iterdir()) == [path]


def _save_for_ever(path):
    for epoch in range(1_000_000):
        save_checkpoint(path, _payload(epoch % 100, size=300_000))


def test_kill_at_any_moment_leaves_a_whole_file(tmp_path):
    path = tmp_path / "last.pth"
    save_checkpoint(path, _payload(0, size=300_000))
    for moment in (0.05, 0.08, 0.11, 0.14):
        process = multiprocessing.get_context("fork").Process(target=_save_for_ever, args=(path,))
        process.start()
        time.sleep(moment)
        os.kill(process.pid, signal.SIGKILL)
        process.join()
        checkpoint = read_state_dict(path)
        assert torch.all(checkpoint.state_dict["w"] == checkpoint.meta["epoch"])
