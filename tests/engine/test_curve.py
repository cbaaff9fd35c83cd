import io
import json

import pytest
from PIL import Image

from mogabench.engine import curve
from mogabench.engine.run import run
from mogabench.tasks.classification import TASK

PLAIN = ("optimizer={name: sgd, lr: 0.05, weight_decay: 0.0}", "optimizer.clip_grad=1.0")


def kept(job):
    return [json.loads(line) for line in (job.work_dir / curve.CURVE).read_text().splitlines()]


def test_the_curve_has_each_step_and_each_evaluation(job):
    schedule = "schedule={epochs: 3, warmup_epochs: 1, warmup_lr: 0.0, evaluate_every: 2}"
    wanted = job(schedule, *PLAIN)
    outcome = run(wanted, TASK)
    points = kept(wanted)
    # 48 images in batches of 16, evaluated after two epochs and at the end; the rate rises to .05
    # over the first.
    assert [(point["step"], "top1" in point) for point in points] == [
        *((1, False), (2, False), (3, False), (4, False), (5, False), (6, False), (6, True)),
        *((7, False), (8, False), (9, False), (9, True)),
    ]
    assert [point["lr"] for point in points[:3]] == pytest.approx([0, 0.05 / 3, 0.1 / 3])
    assert {name: points[-1][name] for name in outcome.metrics} == outcome.metrics
    assert points[0]["loss"] > points[-2]["loss"] > 0
    Image.open(io.BytesIO((wanted.work_dir / curve.PICTURE).read_bytes())).verify()


@pytest.mark.slow
def test_a_point_is_the_mean_over_its_steps(job, tmp_path, monkeypatch):
    every_step = job(*PLAIN)
    run(every_step, TASK)
    steps = [point for point in kept(every_step) if "loss" in point]
    monkeypatch.setattr(curve, "_POINTS", 3)
    in_threes = job(*PLAIN, work_dir=tmp_path / "threes")
    run(in_threes, TASK)
    points = [point for point in kept(in_threes) if "loss" in point]
    assert [point["step"] for point in points] == [2, 3, 4, 6]  # an epoch has three steps
    assert [point["lr"] for point in points] == [steps[i]["lr"] for i in (1, 2, 3, 5)]
    one, two, three, four, five, six = (point["loss"] for point in steps)
    assert [point["loss"] for point in points] == pytest.approx(
        [(one + two) / 2, three, four, (five + six) / 2]
    )
