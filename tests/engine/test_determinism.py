"""The same seed gives the same bits on a CPU, and on a GPU the record says what does not."""

from dataclasses import replace

import pytest
import torch

from mogabench.engine.determinism import DeterminismNotes
from mogabench.engine.run import run
from mogabench.tasks.classification import TASK

RANDOM = [
    *("schedule.epochs=2", "model.drop_path=0.2", "precise_bn=32", "augment.hflip=0.5"),
    *("augment.rand_augment=9/0.5", "augment.erasing=0.5", "augment.mixup=0.8"),
    *("augment.cutmix=1.0", "ema={decay_start: 0.5, decay: 0.9}"),
]


def trained(job, folder, **changes):
    outcome = run(replace(job, work_dir=folder, **changes), TASK)
    weights = torch.load(outcome.checkpoint, weights_only=True)["state_dict"]
    return weights, outcome.metrics, (folder / "curve.jsonl").read_text()


@pytest.mark.slow
def test_the_number_of_workers_changes_no_bit(job, tmp_path):
    training = job(*RANDOM, batch_size=8)
    named = {"subject": training.subject.model_copy(update={"backbone": "test_resnet"})}
    weights, *rest = trained(training, tmp_path / "0", workers=0, **named)
    for workers in (1, 2):
        torch.rand(workers)  # whatever was drawn before
        others, *same = trained(training, tmp_path / str(workers), workers=workers, **named)
        assert same == rest
        assert not [name for name in weights if not torch.equal(weights[name], others[name])]
    others, *_ = trained(training, tmp_path / "seed", seed=1, **named)
    assert [name for name in weights if not torch.equal(weights[name], others[name])]


def test_operators_without_a_deterministic_form_are_named(job):
    """``put_`` is one on any device, so that no GPU is needed to hear of it."""
    notes = DeterminismNotes(job(device="cuda"), chosen_by_time=True)
    values, places = torch.zeros(4), torch.tensor([1, 1])
    values.put_(places, torch.ones(2))
    notes.before_train_iter(None)
    values.put_(places, torch.ones(2))
    notes.after_train_iter(None)
    assert not torch.are_deterministic_algorithms_enabled()
    notes.before_train_iter(None)
    assert not torch.are_deterministic_algorithms_enabled(), "only in the first step"
    (line,) = notes.notes()
    assert "; put_ have no other; cuDNN takes the kernels" in line
    assert DeterminismNotes(job(), chosen_by_time=True).notes() == []
    compiled = DeterminismNotes(job(device="cuda", compile=True), chosen_by_time=False)
    compiled.before_train_iter(None)
    assert not torch.are_deterministic_algorithms_enabled()


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_a_training_on_a_gpu_says_so(job):
    outcome = run(job(device="cuda"), TASK)
    assert any("on a GPU the same seed" in note for note in outcome.notes)
