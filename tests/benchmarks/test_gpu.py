import json
import subprocess
import sys
from pathlib import Path

import pytest

from mogabench.records import Kind, Store

SCRIPT = Path(__file__).parents[2] / "benchmarks" / "gpu.py"


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
