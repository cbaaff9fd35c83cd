"""What ``pip`` may install: every requirement has a lower bound, and all of them fit together."""

import subprocess
import tomllib
from importlib.util import find_spec
from itertools import chain
from pathlib import Path

import pytest
from packaging.requirements import Requirement

from mogabench.records.provenance import packages

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
COMPILED = (
    *("numpy", "scipy", "matplotlib", "pillow", "opencv-python", "pydantic-core", "pycocotools"),
    *("onnx", "onnxruntime", "openvino", "pyyaml", "safetensors", "scikit-image", "regex"),
)
"""Wheels that must be there for every Python, or a new user would need a compiler."""


def test_every_requirement_has_a_lower_bound():
    texts = chain(PROJECT["dependencies"], *PROJECT["optional-dependencies"].values())
    for requirement in map(Requirement, texts):
        bounds = {bound.operator for bound in requirement.specifier}
        assert requirement.name == "mogabench" or bounds & {">=", "=="}, requirement


def test_records_name_what_writes_and_runs_graphs_and_kernels():
    """ONNX IR optimizes what onnxscript writes; Triton compiles a GPU's kernels."""
    runtimes = [Requirement(text).name for text in PROJECT["optional-dependencies"]["runtimes"]]
    wanted = {*runtimes, "onnx-ir", *(["triton"] if find_spec("triton") else [])}
    assert wanted <= packages().keys()


@pytest.mark.slow
@pytest.mark.parametrize(
    ("python", "resolution"),
    [("3.11", "lowest-direct"), ("3.12", "highest"), ("3.13", "lowest-direct")],
)
def test_the_requirements_can_be_installed_together(python, resolution, tmp_path):
    wheels = [item for name in COMPILED for item in ("--only-binary", name)]
    command = ["uv", "pip", "compile", "--quiet", "--resolution", resolution, *wheels]
    command += ["--python-version", python, "--python-platform", "x86_64-unknown-linux-gnu"]
    command += ["--extra", "dev", "--output-file", str(tmp_path / "pins"), "pyproject.toml"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "torch==" in (tmp_path / "pins").read_text()
