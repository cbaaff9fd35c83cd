import json
import runpy
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
import timm
import torch
from timm.layers import DropPath
from torch import nn

import mogabench.models  # noqa: F401  (registers MogaNet with timm)
from mogabench.records import Kind, Store

SCRIPT = Path(__file__).parents[2] / "benchmarks" / "gpu.py"
STAGES = SCRIPT.with_name("gpu_stages")


@pytest.fixture
def stage(monkeypatch):
    """What a stage's script defines."""
    monkeypatch.syspath_prepend(STAGES)
    return lambda name: SimpleNamespace(**runpy.run_path(str(STAGES / f"{name}.py")))


@pytest.mark.slow
@pytest.mark.long
def test_every_stage_in_miniature(tmp_path):
    results = tmp_path / "results"
    # Far more than it takes: the test is not one of speed.
    command = [sys.executable, str(SCRIPT), "--budget", "12m", "--device", "cpu"]
    ended = subprocess.run(
        [*command, "--results", str(results)],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert ended.returncode == 0, ended.stdout + ended.stderr
    lines = list(map(json.loads, (results / "gpu.jsonl").read_text().splitlines()))
    assert {line["stage"] for line in lines} == {
        "precision",
        "layers",
        "inference",
        "training",
        "interaction",
    }
    assert any("ms" in line for line in lines)
    assert all(line["ms"] > 0 for line in lines if "ms" in line)
    timed = [line for line in lines if line["stage"] == "inference" and "ms" in line]
    assert timed and all(line["outputs_error"] < 1e-5 for line in timed)
    kinds = {record.kind for record in Store(results).all()}
    assert kinds >= {Kind.THROUGHPUT, Kind.QUALITY}


@pytest.mark.slow
def test_a_stage_that_gets_no_time_is_a_failure_on_the_cpu(tmp_path):
    command = [sys.executable, str(SCRIPT), "--budget", "1s", "--device", "cpu"]
    ended = subprocess.run(
        [*command, "--results", str(tmp_path)], capture_output=True, text=True, check=False
    )
    assert ended.returncode == 1
    assert ended.stderr.splitlines()[-1] == "failed: operators, moganet, networks, video, others"


def test_every_scale_and_norm_counts_in_the_error_of_outputs(stage):
    torch.manual_seed(0)
    network = stage("bench").randomised(timm.create_model("moganet_xtiny")).eval()
    images = torch.randn(1, 3, 64, 64)  # on one pixel, feature decomposition does nothing
    names = ("scale", "running_mean", "running_var", "norm1.weight", "norm2.bias", "norm.weight")
    with torch.inference_mode():
        expected = network(images)
        for name, value in network.state_dict().items():
            if any(part in name for part in names):
                kept = value.clone()
                value.mul_(2)
                error = (network(images) - expected).norm() / expected.norm()
                assert error > 1e-4, name
                value.copy_(kept)


@pytest.mark.slow
def test_every_filter_counts_in_the_error_of_gradients(stage):
    torch.manual_seed(0)
    network = stage("bench").randomised(timm.create_model("moganet_xtiny", num_classes=10)).train()
    nn.functional.cross_entropy(network(torch.randn(4, 3, 64, 64)), torch.arange(4)).backward()
    filters = {name: one.grad.norm() for name, one in network.named_parameters() if one.ndim == 4}
    whole = torch.cat([one.grad.flatten() for one in network.parameters()]).norm()
    assert len(filters) > 50 and min(filters.values()) > 1e-4 * whole


def test_a_way_that_fails_costs_no_other(stage, monkeypatch, tmp_path):
    words = ["--device", "cpu", "--results", str(tmp_path), "test_convnext"]
    monkeypatch.setattr(sys, "argv", ["inference.py", *words])
    inference = stage("inference")
    monkeypatch.setattr("bench._FORMS", {})  # so that nothing outlives the test
    monkeypatch.setattr("bench.Bench.compile_blocks", lambda *_: 1 / 0)
    assert inference.main()
    lines = map(json.loads, (tmp_path / "gpu.jsonl").read_text().splitlines())
    names = {line["name"] for line in lines}
    assert names >= {f"test_convnext plain cuDNN eager{graph}" for graph in ("", " graph")}


def test_simvp_trains_without_chance(stage):
    problem = stage("training")._video(SimpleNamespace(on_gpu=False, device="cpu"))
    drops = [part for part in problem.network.modules() if isinstance(part, DropPath)]
    assert drops and all(part.drop_prob == 0 for part in drops)


def test_the_figures_of_the_page_on_speed_are_those_of_the_records():
    texts = (SCRIPT.parents[1] / "results" / "gpu.jsonl").read_text().splitlines()
    measured = {(line["name"], line.get("batch")): line for line in map(json.loads, texts)}
    page = (SCRIPT.parents[1] / "docs" / "speed.md").read_text()
    best = {}
    for text, form in (
        ("MogaNet-S, plain, channels_last", "moganet_small plain cuDNN"),
        ("MogaNet-S, fused, with the kernels", "moganet_small fused kernels"),
        ("ConvNeXt-T", "convnext_tiny plain cuDNN"),
    ):
        ways = (f"{form} {way}{graph}" for way in ("eager", "compiled") for graph in ("", " graph"))
        rates = [measured[way, 256]["images_per_s"] for way in ways]
        latency = measured[f"{form} compiled graph", 1]["ms"]
        cells = " | ".join([text, *(f"{rate:.0f}" for rate in rates), f"{latency:.2f}"])
        assert f"| {cells} |" in page
        best[text] = rates
    plain, fused, convnext = best.values()
    ratios = fused[3] / plain[0], fused[3] / plain[3]
    said = "At best MogaNet-S is {:.1f} times as fast as plain and eager, {:.1f} times as plain and"
    assert f"{said.format(*ratios)} compiled, and {fused[3] / convnext[3]:.2f}" in page


@pytest.mark.slow
def test_what_is_known_of_the_same_code_is_not_measured_again(tmp_path):
    command = [sys.executable, str(STAGES / "layers.py"), "--device", "cpu"]
    first, second = (
        subprocess.run(
            [*command, "--results", str(tmp_path)], capture_output=True, text=True, check=True
        ).stdout.splitlines()
        for _ in range(2)
    )
    assert [line.endswith(": known") for line in first] == [False, False, False]
    assert [line.endswith(": known") for line in second] == [False, True, True]
    lines = [json.loads(line) for line in (tmp_path / "gpu.jsonl").read_text().splitlines()]
    assert [line["name"] for line in lines].count("copy") == 2 and len(lines) == 4
    assert all("dirty" in line for line in lines)


def test_a_command_that_cannot_begin_ends_no_other(capfd):
    script = SimpleNamespace(**runpy.run_path(str(SCRIPT)))
    stage = script.Stage("video", 1, (), least=200)
    assert script._run(stage, ("/no/such/program",), 300) == 1
    assert "No such file" in capfd.readouterr().out
    assert script._run(stage, ("/no/such/program",), 199) is None
    assert "199 s are too few" in capfd.readouterr().out


@pytest.mark.parametrize("text", ["8", "8h", "m", ""])
def test_a_budget_without_its_unit_is_refused(text, monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["gpu.py", "--device", "cpu", "--budget", text])
    with pytest.raises(SystemExit):
        runpy.run_path(str(SCRIPT), run_name="__main__")
    assert f"'{text}' is not a duration, such as 8m or 90s" in capsys.readouterr().err


@pytest.mark.slow
def test_an_unknown_stage_is_refused():
    command = [sys.executable, str(SCRIPT), "--device", "cpu", "networks", "videos"]
    ended = subprocess.run(command, capture_output=True, text=True, check=False)
    assert ended.returncode == 1
    expected = "no stage videos; the stages are operators, moganet, networks, video, others"
    assert ended.stderr.splitlines() == [expected]
