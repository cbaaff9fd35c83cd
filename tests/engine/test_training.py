import errno
import os
import subprocess
import sys
from dataclasses import replace

import pytest
import torch

from mogabench.engine import runner
from mogabench.engine.environment import lock
from mogabench.engine.run import WEIGHTS, run
from mogabench.engine.saving import CHECKPOINT
from mogabench.errors import UserError
from mogabench.tasks.classification import TASK

PLAIN = ("optimizer={name: sgd, lr: 0.05, weight_decay: 0.0}", "augment.rand_augment=9/0.5")
"""No batch norm, no adaptive rates: what is left is rounding."""


def trained(job):
    run(job, TASK)
    return torch.load(job.work_dir / WEIGHTS, weights_only=True)["state_dict"]


def largest_difference(one, other):
    return max((one[name] - other[name]).abs().max().item() for name in one)


def test_accumulated_gradients_equal_one_large_batch(job, tmp_path):
    whole = trained(job(*PLAIN))
    parts = trained(job(*PLAIN, batch_size=4, work_dir=tmp_path / "parts"))
    assert largest_difference(whole, parts) < 1e-5
    other = trained(job(*PLAIN, seed=1, work_dir=tmp_path / "other"))
    assert largest_difference(whole, other) > 1e-3


@pytest.mark.slow
def test_the_average_is_what_is_saved_and_evaluated(job, tmp_path):
    # A rate of 0 in the first step makes the average start, and stay, at the initial weights.
    first_step = ["schedule={epochs: 4, warmup_epochs: 1, warmup_lr: 0}"]
    still = "ema={decay_start: 0.9999999, decay: 0.9999999}"
    jobs = [job(*first_step, still, work_dir=tmp_path / "averaged"), job(*first_step)]
    averaged, plain = outcomes = [run(each, TASK) for each in jobs]
    assert averaged.metrics["top1"] < 50 < plain.metrics["top1"]
    for each, outcome in zip(jobs, outcomes, strict=True):
        alone = run(replace(each, train=False, weights=outcome.checkpoint, work_dir=None), TASK)
        assert alone.metrics == outcome.metrics


def test_the_optimizer_makes_its_state_on_the_device(job, monkeypatch):
    """Here on the meta device, in the place of a GPU; the next step would be to train there."""
    monkeypatch.setattr(runner, "get_device", lambda: "meta")
    monkeypatch.setattr(runner, "QuietRunner", lambda *_, **options: options)
    adagrad = job("optimizer.name=adagrad")
    optimizer = runner.make_runner(adagrad, TASK.prepare(adagrad))["optim_wrapper"].optimizer
    assert {state["sum"].device.type for state in optimizer.state.values()} == {"meta"}


def test_skipped_images_are_named_and_change_nothing_else(job, folder, caplog):
    bad = [folder / "train" / "red" / "3.png", folder / "val" / "blue" / "1.png"]
    for image in bad:
        image.write_bytes(image.read_bytes()[:200])
    outcome = run(job(), TASK)
    again = run(job(work_dir=folder / "again", workers=2), TASK)
    for split, image in zip(("train", "val"), bad, strict=True):
        assert f"1 {split} image(s) cannot be read: {image}" in outcome.notes
    assert caplog.text.count(f"left out: cannot read the image {bad[0]}: ") == 2, "once per run"
    first, second = (
        torch.load(x.checkpoint, weights_only=True)["state_dict"] for x in (outcome, again)
    )
    assert all(torch.equal(first[name], second[name]) for name in first)


@pytest.mark.parametrize("workers", [0, 2])
def test_an_unreadable_image_can_be_fatal(job, folder, workers):
    bad = folder / "train" / "red" / "3.png"
    bad.write_bytes(b"")
    with pytest.raises(UserError, match=f"^cannot read the image {bad}: it is empty$"):
        run(job(on_bad_image="fail", workers=workers), TASK)


def test_data_of_which_nothing_can_be_read(job, folder):
    for image in folder.glob("train/*/*.png"):
        image.write_bytes(b"version https://git-lfs.github.com/spec/v1")
    with pytest.raises(UserError, match=r"most train images of folder:colours .* Git LFS"):
        run(job(), TASK)


def test_a_second_training_does_not_overwrite_the_first(job):
    run(job("schedule.epochs=1"), TASK)
    with pytest.raises(UserError, match="already holds a training: add --resume"):
        run(job("schedule.epochs=1"), TASK)


def test_what_cannot_be_resumed(job):
    run(job("schedule.epochs=1", resume=True), TASK)  # killed before its first checkpoint: begins
    with pytest.raises(UserError, match="another training: its recipe digest was"):
        run(job("schedule.epochs=1", "optimizer.lr=0.5", resume=True), TASK)
    with pytest.raises(UserError, match=r"another training: its network was .*test_convnext"):
        run(job("schedule.epochs=1", backbone="test_resnet", resume=True), TASK)


def test_a_finished_training_resumes_to_the_same_figures(job):
    first = run(job("schedule.epochs=1"), TASK)
    again = run(job("schedule.epochs=1", resume=True), TASK)
    assert (again.metrics, again.data) == (first.metrics, first.data)


def test_weights_that_are_no_numbers_never_reach_a_checkpoint(job):
    with pytest.raises(UserError, match=r"loss is not finite|no longer finite"):
        run(job("optimizer={name: sgd, lr: 1e30, weight_decay: 0.0}", save_seconds=0), TASK)
    saved = torch.load(job().work_dir / CHECKPOINT, weights_only=True)["state_dict"]
    assert all(torch.isfinite(value).all() for value in saved.values())


def test_a_disk_that_is_too_small(job, monkeypatch):
    usage = type("Usage", (), {"free": 1000})
    monkeypatch.setattr("shutil.disk_usage", lambda _: usage)
    with pytest.raises(UserError, match=r"no space for checkpoints in .*0 MB are free"):
        run(job(), TASK)


def test_a_folder_that_cannot_be_written(job, tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(UserError, match=r"cannot write to .*file/work: Not a directory"):
        run(job(work_dir=tmp_path / "file" / "work"), TASK)


def test_batches_that_do_not_add_up(job):
    with pytest.raises(UserError, match=r"batches of 3 .* do not add up .* batch_size 16"):
        run(job(batch_size=3), TASK)
    with pytest.raises(UserError, match="48 training samples do not fill one batch of 64"):
        run(job("batch_size=64"), TASK)


def test_two_trainings_do_not_share_a_folder(job, tmp_path):
    first = job(work_dir=tmp_path / "work")
    script = (
        "import sys, time; from pathlib import Path\n"
        "from mogabench.engine.environment import lock\n"
        "with lock(Path(sys.argv[1])): print('locked', flush=True); time.sleep(60)"
    )
    (tmp_path / "work").mkdir()
    owner = subprocess.Popen(
        [sys.executable, "-c", script, tmp_path / "work"], stdout=subprocess.PIPE, text=True
    )
    assert owner.stdout.readline() == "locked\n"
    with pytest.raises(UserError, match=f"process {owner.pid} on .* is training in .*--work-dir"):
        run(first, TASK)
    owner.kill()
    owner.wait()
    run(first, TASK)


@pytest.mark.parametrize(
    ("what", "code"),
    [("pathlib.Path.open", errno.EACCES), ("fcntl.lockf", errno.ENOLCK)],
    ids=["file of another user", "NFS without locks"],
)
def test_a_folder_that_cannot_be_locked_is_one_line_and_no_other_training(
    what, code, tmp_path, monkeypatch
):
    def fail(*_):
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr(what, fail)
    with pytest.raises(UserError, match=f"cannot lock {tmp_path}: {os.strerror(code)}$"):
        lock(tmp_path).__enter__()
