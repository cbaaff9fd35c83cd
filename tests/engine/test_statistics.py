"""Precise batch norm, against means and variances worked out from the batches."""

from dataclasses import replace

import pytest
import torch
from torch import nn

from mogabench.engine.model import Trained
from mogabench.engine.run import WEIGHTS, run
from mogabench.engine.statistics import measure_statistics
from mogabench.errors import UserError
from mogabench.tasks.classification import TASK


class Normalised(Trained):
    def loss(self, inputs):
        return {"loss": self.run(inputs).sum()}


def test_statistics_are_the_mean_over_the_batches():
    frozen = nn.BatchNorm1d(3).eval()
    frozen.train = lambda mode=True: frozen
    model = Normalised(nn.Sequential(frozen, nn.BatchNorm1d(3, momentum=0.1))).eval()
    model.network[1].running_mean.fill_(100.0)
    batches = [torch.randn(8, 3) + shift for shift in (0.0, 1.0, 5.0)]
    measure_statistics(model, iter([{"inputs": batch} for batch in batches]), 2)
    norm = model.network[1]
    # The third batch is not asked for; the frozen norm divides by sqrt(1 + eps).
    seen = torch.stack(batches[:2]) / (1 + frozen.eps) ** 0.5
    torch.testing.assert_close(norm.running_mean, seen.mean(1).mean(0))
    torch.testing.assert_close(norm.running_var, seen.var(1).mean(0))
    assert norm.momentum == 0.1 and not model.training
    assert torch.equal(frozen.running_mean, torch.zeros(3))


@pytest.mark.slow
@pytest.mark.parametrize("ema", ["ema=null", "ema={}"])
def test_a_training_ends_with_them_and_saves_and_evaluates_them(job, tmp_path, ema):
    short = ["schedule={epochs: 1, warmup_epochs: 0}", ema]
    backbone = job(*short).subject.model_copy(update={"backbone": "resnet10t"})
    plain = run(job(*short, subject=backbone, work_dir=tmp_path / "plain"), TASK)
    precise = job(*short, "precise_bn=100", subject=backbone, work_dir=tmp_path / "precise")
    found = run(precise, TASK)
    one, other = (
        torch.load(outcome.checkpoint, weights_only=True)["state_dict"]
        for outcome in (plain, found)
    )
    changed = {name for name in one if not torch.equal(one[name], other[name])}
    assert changed and all(
        name.endswith(("running_mean", "running_var", "num_batches_tracked")) for name in changed
    )
    batches = -(-100 // precise.recipe.batch_size)
    assert {int(other[name]) for name in other if name.endswith("num_batches_tracked")} == {batches}
    again = run(replace(precise, train=False, weights=found.checkpoint, work_dir=None), TASK)
    assert again.metrics == found.metrics
    assert found.checkpoint == precise.work_dir / WEIGHTS


def test_a_network_without_batch_norms_has_no_statistics_to_measure_again(job):
    """That of the fixture has layer norms; the refusal is before the training, not after it."""
    training = job("precise_bn=64")
    with pytest.raises(UserError, match=r"^precise_bn=64 has no effect: training updates no"):
        run(training, TASK)
    assert not (training.work_dir / WEIGHTS).exists()


def test_a_training_resumed_at_its_end_gives_the_same_statistics(job):
    mixed = ["augment.mixup=0.8", "augment.mixup_prob=1.0", "precise_bn=64"]
    training = job("schedule={epochs: 1, warmup_epochs: 0}", *mixed)
    training = replace(
        training, subject=training.subject.model_copy(update={"backbone": "resnet10t"})
    )
    first = torch.load(run(training, TASK).checkpoint, weights_only=True)["state_dict"]
    again = run(replace(training, resume=True), TASK)
    second = torch.load(again.checkpoint, weights_only=True)["state_dict"]
    assert all(torch.equal(first[name], second[name]) for name in first)
