import json
from copy import deepcopy
from dataclasses import replace
from functools import partialmethod
from pathlib import Path

import numpy as np
import pytest
import torch
from timm.layers import DropPath
from torch.nn import functional
from torch.optim.lr_scheduler import OneCycleLR
from torch.utils._python_dispatch import TorchDispatchMode

from mogabench.data.identity import SAMPLE
from mogabench.engine import curve, reporting
from mogabench.engine.loop import ResumableLoop
from mogabench.engine.make_job import make_job
from mogabench.engine.run import run
from mogabench.errors import UserError
from mogabench.models.simvp import SimVP
from mogabench.paper import get_paper
from mogabench.recipes import names, variants
from mogabench.records import Kind, open_store
from mogabench.subject import Subject
from mogabench.tasks import load_recipe
from mogabench.tasks.video import TASK
from mogabench.tasks.video.drawing import GIF, PNG
from mogabench.tasks.video.model import FramePredictor

LEARNING_RATES = {"convmixer": 1e-2, "convnext": 1e-2, "uniformer": 5e-4, "vit": 5e-4}


@pytest.mark.parametrize("epochs", [200, 2000])
def test_recipes_have_each_translators_learning_rate(epochs):
    name = f"mmnist_{epochs}e"
    assert name in names(TASK)
    for variant in variants(name, TASK):
        recipe = load_recipe(name, variant=variant)
        assert recipe.optimizer.lr == LEARNING_RATES.get(variant, 1e-3)
        assert (recipe.schedule.epochs, recipe.batch_size, recipe.sequences) == (epochs, 16, 10_000)
        assert recipe.model.model_dump(exclude_defaults=True) == {}
        assert recipe.divergence == (0.1 if variant == "tau" else None)
    rows = get_paper().table("A14").rows
    assert {row.meta.backbone for row in rows} == {*variants(name, TASK)} - {"tau"}
    for row in rows:
        expected = load_recipe(name, variant=row.meta.backbone).expected
        printed = {
            metric: float(row.cells[f"{epochs} epochs: {head}"])
            for metric, head in (("mse", "MSE↓"), ("mae", "MAE↓"), ("ssim", "SSIM↑"))
        }
        assert (expected.table, expected.values) == ("A14", printed)


@pytest.mark.slow
def test_an_interrupted_training_ends_as_an_uninterrupted_one(job, tmp_path, monkeypatch):
    monkeypatch.setattr("mogabench.tasks.video.data.TEST_SEQUENCES", 4)
    tiny = job().subject.model_copy(update={"input_size": (4, 1, 32, 32)})
    whole = job("schedule.epochs=2", subject=tiny, work_dir=tmp_path / "whole")
    parts = replace(whole, work_dir=tmp_path / "parts", save_seconds=0)
    with monkeypatch.context() as patch:
        patch.setattr("mogabench.engine.loop.ResumableLoop.run_iter", _stopping_after(5))
        with pytest.raises(KeyboardInterrupt):
            run(parts, TASK)
    outcomes = run(whole, TASK), run(replace(parts, resume=True), TASK)
    first, second = (torch.load(each.checkpoint, weights_only=True) for each in outcomes)
    for name, tensor in first["state_dict"].items():
        assert torch.equal(tensor, second["state_dict"][name]), name
    assert outcomes[0].metrics == outcomes[1].metrics


def test_a_step_longer_than_an_epoch_names_the_sequences_of_the_epoch(job, monkeypatch):
    monkeypatch.setattr("mogabench.tasks.video.data.TEST_SEQUENCES", 2)
    with pytest.raises(UserError, match=r"^2 training samples do not fill one batch of 16; "):
        run(job("sequences=2", "batch_size=16"), TASK)


@pytest.mark.parametrize("name", TASK.backbones())
def test_a_drop_path_is_refused_where_a_translator_has_none(job, name):
    small = {"encoder_dim": 8, "hidden_dim": 16, "depth": 2, "input_size": (2, 1, 16, 16)}
    has_one = any(isinstance(part, DropPath) for part in SimVP(name, **small).modules())
    subject = job().subject.model_copy(update={"backbone": name, "input_size": (2, 1, 32, 32)})
    wanted = job("model.drop_path=0.2", subject=subject)
    if has_one:
        TASK.prepare(wanted)
        return
    with pytest.raises(UserError, match=rf"^model.drop_path=0.2 has no effect: {name} has no"):
        TASK.prepare(wanted)


def test_a_number_of_sequences_is_refused_where_none_are_drawn(job, tmp_path):
    for split in ("train", "val"):
        np.save(tmp_path / f"{split}.npy", np.zeros((2, 20, 64, 64)))
    with pytest.raises(UserError, match=r"^sequences=16 has no effect: it is for moving digits;"):
        TASK.prepare(job(data=str(tmp_path)))


def _stopping_after(steps):
    original = ResumableLoop.run_iter

    def run_iter(self, idx, data_batch):
        if self._iter == steps:
            raise KeyboardInterrupt
        original(self, idx, data_batch)

    return run_iter


@pytest.mark.parametrize("divergence", [None, 5.0])
def test_a_training_takes_the_steps_of_openstls_plain_loop(job, monkeypatch, divergence):
    """Adam and the one-cycle schedule of PyTorch on the mean squared error, as OpenSTL has them.

    TAU's second term is large here, so that it decides on the loss.
    """
    monkeypatch.setattr("mogabench.tasks.video.data.TEST_SEQUENCES", 2)
    first, batches, losses = {}, [], []
    original = FramePredictor.train_step

    def train_step(self, data, optim_wrapper):
        first.update(first or deepcopy(self.network.state_dict()))
        batches.append(data["frames"] / 255)
        outputs = original(self, data, optim_wrapper)
        losses.append(outputs["loss"].item())
        return outputs

    monkeypatch.setattr(FramePredictor, "train_step", train_step)
    small = job().subject.model_copy(update={"input_size": (4, 1, 32, 32)})
    weight = "null" if divergence is None else divergence
    run(job("schedule.epochs=3", f"divergence={weight}", subject=small, device="cpu"), TASK)

    network = SimVP(input_size=(4, 1, 32, 32), encoder_dim=16, hidden_dim=32, depth=2).train()
    network.load_state_dict(first)
    rate = job().recipe.optimizer.lr
    optimizer = torch.optim.Adam(network.parameters(), rate)
    cycle = OneCycleLR(optimizer, rate, total_steps=len(losses), final_div_factor=1e4)
    expected = []
    for frames in batches:
        predicted = network(frames[:, :4])
        loss = functional.mse_loss(predicted, frames[:, 4:])
        if divergence:
            ours, theirs = (
                torch.exp((each[:, 1:] - each[:, :-1]).flatten(2) * 10)
                for each in (predicted, frames[:, 4:])
            )
            ours, theirs = (each / each.sum(-1, keepdim=True) for each in (ours, theirs))
            second = torch.mean(ours * torch.log(ours / (theirs + 1e-12) + 1e-12))
            assert divergence * second > loss / 10
            loss = loss + divergence * second
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        cycle.step()
        expected.append(loss.item())
    assert len(losses) == 12
    # Rounding grows to 2e-4; without the cycle of Adam's momentum they differ by 10 %.
    assert losses == pytest.approx(expected, rel=1e-3)


def sample_job(work_dir, *overrides, size=(10, 1, 64, 64), **changes):
    """The job of ``mogabench run video --translator moganet --data sample --train``."""
    return make_job(
        TASK,
        Subject(task="video", method="simvp", backbone="moganet", input_size=size),
        data=SAMPLE,
        **{"size_is_given": False, **changes},
        recipe=None,
        overrides=overrides,
        weights=None,
        train=True,
        work_dir=work_dir,
        device="cpu",
        workers=0,
        quiet=True,
    )


def test_the_samples_size_gives_way_to_the_users(tmp_path):
    assert sample_job(tmp_path).subject.input_size == (10, 1, 32, 32)
    fewer = sample_job(tmp_path, options=TASK.Options(in_frames=5))
    assert fewer.subject.input_size == fewer.recipe.size == (5, 1, 32, 32)
    larger = sample_job(tmp_path, size=(10, 1, 48, 48), size_is_given=True)
    assert larger.subject.input_size == larger.recipe.size == (10, 1, 48, 48)


def test_an_option_against_the_recipe_is_refused_before_all_else(job):
    plain = job()  # of 32 channels
    against, equal = (
        replace(plain, subject=plain.subject.model_copy(update={"options": (("hidden_dim", n),)}))
        for n in (64, 32)
    )
    with pytest.raises(UserError, match=r"hidden_dim=64 contradicts .* 32; --set model.hidden_di"):
        TASK.prepare(replace(against, data="nowhere"))  # which is not looked for
    with pytest.raises(UserError, match=r"hidden_dim=64 contradicts"):
        TASK.predictor(replace(against, train=False, weights=Path("none.pth")), None)
    assert shapes(TASK.prepare(equal)) == shapes(TASK.prepare(plain))


def shapes(setup):
    return {name: value.shape for name, value in setup.model.network.state_dict().items()}


@pytest.mark.slow
@pytest.mark.long
def test_the_sample_beats_copying_the_last_frame_in_all(tmp_path):
    outcome = run(sample_job(tmp_path, "schedule.epochs=1"), TASK)  # of its three
    assert outcome.size == (10, 1, 32, 32)
    assert set(outcome.metrics) == {"mse", "mae", "ssim", "psnr"}
    for name in (PNG, GIF, "weights.pth"):
        assert (tmp_path / name).is_file()
    words = outcome.notes[-1].partition("gives ")[2].split(", ")
    copied = {name: float(value) for name, value in map(str.split, words)}
    assert outcome.metrics["mse"] < 0.5 * copied["mse"]
    assert outcome.metrics["mae"] < copied["mae"]
    assert outcome.metrics["ssim"] > copied["ssim"]


def test_a_recipe_without_a_size_has_the_digest_it_had():
    earlier = [
        record.provenance
        for record in open_store().all(Kind.QUALITY)
        if record.provenance.recipe == "mmnist_200e" and record.subject.backbone == "convnext"
    ]
    recipe = load_recipe("mmnist_200e", variant="convnext", overrides=["schedule.epochs=20"])
    assert recipe.digest in [where.recipe_digest for where in earlier]


class Fetches(TorchDispatchMode):
    """Counts values that Python takes out of tensors: on a GPU each waits for all work before."""

    count = 0

    def __torch_dispatch__(self, function, types, arguments=(), options=None):
        self.count += function is torch.ops.aten._local_scalar_dense.default
        return function(*arguments, **(options or {}))


@pytest.mark.slow
@pytest.mark.parametrize("optimizer", ["adam", "sgd"])
def test_a_step_does_not_wait_for_the_device(job, monkeypatch, optimizer):
    monkeypatch.setattr("mogabench.tasks.video.data.TEST_SEQUENCES", 4)
    monkeypatch.setattr(reporting, "_LINE_PERIOD_S", float("inf"))  # a line tells the loss
    monkeypatch.setattr(curve, "_POINTS", 1)
    fetches, run_iter = Fetches(), ResumableLoop.run_iter

    def watched(self, *arguments):
        with fetches:
            run_iter(self, *arguments)

    monkeypatch.setattr(ResumableLoop, "run_iter", watched)
    run(job(f"optimizer.name={optimizer}", "optimizer.clip_grad=1.0", save_seconds=1e6), TASK)
    # Of eight steps the last one makes the curve's point, of one loss.
    assert fetches.count == 1


@pytest.mark.slow
@pytest.mark.long
def test_what_a_gpu_would_train_with_gives_the_same_losses(job, tmp_path, monkeypatch):
    monkeypatch.setattr("mogabench.tasks.video.data.TEST_SEQUENCES", 4)
    short = ("sequences=32", "schedule.epochs=2")
    plain = job(*short)
    fast = job(
        *short,
        work_dir=tmp_path / "fast",
        amp="bfloat16",
        channels_last=True,
        compile=True,
    )
    # The graphs alone: the compiler of a GPU is another one, and that of a CPU takes minutes.
    compiled = partialmethod(torch.nn.Module.compile, backend="eager")
    monkeypatch.setattr(torch.nn.Module, "compile", compiled)
    # What the process compiled before, of other sizes, must not change how the network compiles.
    for size in (16, 32):
        earlier = SimVP("moganet", input_size=(2, 1, size, size), encoder_dim=8, hidden_dim=16)
        torch.compile(earlier, backend="eager")(torch.rand(1, 2, 1, size, size))
    losses = []
    for training in (plain, fast):
        run(training, TASK)
        lines = (training.work_dir / curve.CURVE).read_text().splitlines()
        losses.append([point["loss"] for point in map(json.loads, lines) if "loss" in point])
    assert len(losses[0]) == 16
    assert losses[0][-1] < 0.7 * losses[0][0]
    # A number in bfloat16 is off by up to 0.4 %.
    assert losses[1] == pytest.approx(losses[0], rel=0.01)
    assert losses[1] != losses[0]
