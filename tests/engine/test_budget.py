"""Trainings that choose their length by the time they may take."""

import time
from copy import deepcopy
from dataclasses import replace
from types import SimpleNamespace

import pytest
import torch

from mogabench.engine import budget
from mogabench.engine.run import run
from mogabench.engine.saving import CHECKPOINT
from mogabench.errors import UserError
from mogabench.recipes.schedules import CosineSchedule, OneCycleSchedule
from mogabench.tasks import load_recipe
from mogabench.tasks.classification import TASK


@pytest.fixture(autouse=True)
def _brief(monkeypatch):
    monkeypatch.setattr(budget, "_SECONDS", 0.2)


@pytest.mark.slow
def test_the_training_is_that_of_the_length_it_states(job, tmp_path):
    steady = "schedule.evaluate_every=1000"
    began = time.monotonic()
    chosen = job("schedule.epochs=1000", steady, deadline=began + 12, work_dir=tmp_path / "budget")
    short = run(chosen, TASK)
    assert time.monotonic() - began < 15
    epochs = short.recipe.schedule.epochs
    assert 1 < epochs < 1000
    assert short.training.epochs == epochs == short.recipe.changes["schedule.epochs"]
    given = run(job(f"schedule.epochs={epochs}", steady), TASK)
    assert given.recipe.digest == short.recipe.digest
    assert given.metrics == short.metrics
    one, other = (
        torch.load(outcome.checkpoint, weights_only=True)["state_dict"]
        for outcome in (given, short)
    )
    assert all(torch.equal(one[name], other[name]) for name in one)


@pytest.mark.slow
def test_a_recipe_that_fits_is_not_changed(job):
    chosen = job("schedule.epochs=1", deadline=time.monotonic() + 600)
    assert run(chosen, TASK).recipe == chosen.recipe


def test_too_little_time_is_refused(job):
    with pytest.raises(UserError, match=r"too short: an epoch takes .* an evaluation"):
        run(replace(job(), deadline=time.monotonic() + 0.5), TASK)


def test_several_processes_are_refused(job, monkeypatch):
    monkeypatch.setattr(budget, "get_dist_info", lambda: (0, 2))
    with pytest.raises(UserError, match=r"one device; change schedule\.epochs by --set"):
        budget.shorten(replace(job(), deadline=time.monotonic() + 60), None)


@pytest.mark.parametrize(
    ("seconds", "epochs"), [(0, 0), (11, 0), (12, 1), (42, 4), (53, 4), (54, 5), (1e9, 9)]
)
def test_evaluations_count(seconds, epochs):
    # 10 s an epoch and 2 s an evaluation, after every fourth epoch and at the end: the fifth
    # needs 50 s, the evaluation after the fourth 2 s and the last one 2 s.
    schedule = OneCycleSchedule(epochs=9, evaluate_every=4)
    assert budget.Pace(epoch=10, evaluation=2).epochs_within(seconds, schedule) == epochs


@pytest.mark.parametrize(
    ("seconds", "epochs"), [(172, 0), (173, 4), (184, 4), (185, 5), (233, 9), (1e9, 9)]
)
def test_warm_up_cool_down_and_statistics_count(seconds, epochs):
    # The three epochs of warm-up, one after them and ten of cool-down, each 10 s and 2 s of
    # evaluation, are 168 s; then the statistics take 5 s.
    schedule = CosineSchedule(epochs=9, warmup_epochs=3, cooldown_epochs=10)
    pace = budget.Pace(epoch=10, evaluation=2, statistics=5)
    assert pace.epochs_within(seconds, schedule) == epochs


def test_too_little_time_for_warm_up_and_cool_down_says_what_is_needed(job, monkeypatch):
    monkeypatch.setattr(budget, "_time", lambda *_: budget.Pace(epoch=16.0, evaluation=2.0))
    schedule = "schedule={epochs: 9, warmup_epochs: 3, cooldown_epochs: 1}"
    setup = TASK.prepare(job(schedule))
    monkeypatch.setattr(budget.time, "monotonic", lambda: 1000.0)  # the clock stands still
    # Five epochs of 18 s are nine tenths of 100 s.
    chosen = job(schedule, deadline=1060.0)
    with pytest.raises(UserError, match=r"5 epochs with .* needs 100 s, .*; give about 4[01] s"):
        budget.shorten(chosen, setup)


@pytest.mark.parametrize(
    ("recipe", "fields"),
    [
        ("sample_shapes_detection", "schedule.epochs and schedule.milestones"),
        ("sample_shapes_segmentation", "schedule.steps"),
    ],
)
def test_what_has_no_free_length_says_how_to_change_it(job, recipe, fields):
    chosen = replace(job(), recipe=load_recipe(recipe), deadline=time.monotonic() + 60)
    with pytest.raises(UserError, match=f"schedule of {recipe}; change {fields} by --set"):
        budget.shorten(chosen, None)


def test_statistics_are_timed_over_the_batches_of_the_recipe(job, monkeypatch):
    monkeypatch.setattr(budget, "_seconds_per_call", lambda call, _: call() or 1.0)
    chosen = job("precise_bn=100", "batch_size=16")
    chosen.work_dir.mkdir()
    pace = budget._time(chosen, TASK.prepare(chosen))
    assert pace.statistics == pytest.approx(7, abs=0.5)  # 7 batches have the first 100 samples


def test_timed_steps_and_checkpoints_are_those_of_the_training(job, monkeypatch):
    """With the average, and at the rate that the training begins with, here 0."""
    monkeypatch.setattr(budget, "_seconds_per_call", lambda call, _: call() or 1.0)
    chosen = job("ema={}", "schedule={epochs: 4, warmup_epochs: 1, warmup_lr: 0}")
    chosen.work_dir.mkdir()
    setup = TASK.prepare(chosen)
    before = deepcopy(setup.model.state_dict())
    budget._time(chosen, setup)
    after = setup.model.state_dict()
    assert all(torch.equal(after[name], before[name]) for name in before)
    saved = torch.load(chosen.work_dir / CHECKPOINT, weights_only=True)
    assert saved["ema_state_dict"]["steps"] == 1


def test_a_smaller_last_batch_does_not_count_as_each_of_them():
    """A compiled network is compiled again for it, which takes longer than all of them."""
    compiled = set()

    def val_step(batch):
        time.sleep(0.01 if batch in compiled else 1)
        compiled.add(batch)

    runner = SimpleNamespace(
        model=SimpleNamespace(eval=lambda: None, val_step=val_step),
        val_loop=SimpleNamespace(
            dataloader=[16] * 6 + [4],
            evaluator=SimpleNamespace(process=lambda *_: None, metrics=[]),
        ),
    )
    assert 0.07 <= budget._seconds_to_evaluate(runner, "cpu") < 0.5
