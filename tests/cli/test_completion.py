"""A shell's completion, asked as a shell asks."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = str(Path(sys.executable).with_name("mogabench"))


@pytest.mark.parametrize(
    ("words", "completed"),
    [
        ("table A1", ["A1", "A10", "A11", "A12", "A13", "A14", "A15"]),
        ("run po", ["pose"]),
        ("run pose --recipe simple", ["simple_baseline_256x192", "simple_baseline_384x288"]),
        ("profile convnext_ti", ["convnext_tiny", "convnext_tiny_hnf"]),
        ("count xt --task s", ["segmentation"]),
        ("show in1k_ft", ["in1k_ft384_30e"]),
        ("list ablations A5", ["A5"]),
        ("run classification --ablation A7/10", ["A7/10"]),
    ],
)
def test_names_are_completed(words, completed):
    asked = {"COMP_WORDS": f"mogabench {words}", "COMP_CWORD": str(len(words.split()))}
    done = subprocess.run(
        [SCRIPT],
        env=os.environ | asked | {"_MOGABENCH_COMPLETE": "complete_bash"},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.split() == completed and done.stderr == ""
