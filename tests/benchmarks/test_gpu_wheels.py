import runpy
from pathlib import Path

import pytest
from packaging.requirements import Requirement

SCRIPT = runpy.run_path(str(Path(__file__).parents[2] / "benchmarks" / "gpu_wheels.py"))
check, missing, read_machine = (SCRIPT[name] for name in ("check", "missing", "read_machine"))


@pytest.mark.parametrize(
    ("tags", "fits"),
    [
        ("py3-none-any", True),
        ("py2.py3-none-any", True),
        ("cp312-cp312-manylinux_2_17_x86_64.manylinux2014_x86_64", True),
        ("cp39-abi3-manylinux_2_28_x86_64", True),
        ("py3-none-manylinux_2_5_x86_64", True),
        ("cp311-cp311-manylinux_2_17_x86_64", False),
        ("cp313-abi3-manylinux_2_17_x86_64", False),
        ("cp312-cp312t-manylinux_2_17_x86_64", False),
        ("cp312-cp312-manylinux_2_40_x86_64", False),
        ("cp312-cp312-manylinux_2_17_aarch64", False),
        ("cp312-cp312-musllinux_1_2_x86_64", False),
        ("cp312-cp312-macosx_11_0_arm64", False),
    ],
)
def test_a_wheel_that_does_not_fit_is_refused(tags, fits):
    name = f"package-1.0-{tags}.whl"
    problems = check({name: 100, "other-1.0-py3-none-any.whl": 100})
    assert [problem.split()[0] for problem in problems] == ([] if fits else [name])


def test_more_than_may_travel_is_refused():
    half = 32 * 1024 * 1024
    wheels = {"a-1.0-py3-none-any.whl": half, "b-1.0-py3-none-any.whl": half}
    assert not check(wheels)
    (problem,) = check({**wheels, "c-1.0-py3-none-any.whl": 200_000})
    assert problem == "the wheels take 64.2 MiB; 64 MiB may travel"


def test_requirements_are_followed_up_to_what_is_there():
    there = read_machine("# a comment\ntorch==2.11.0\ntorchvision==0.26.0  # why\nPyYAML\n\n")
    assert there == {"torch": "2.11.0", "torchvision": "0.26.0", "pyyaml": ""}
    found = missing([Requirement("timm>=1.0.21")], there)
    # timm requires torch, torchvision, pyyaml, huggingface_hub and safetensors.
    assert {"timm", "huggingface-hub", "safetensors"} <= set(found)
    assert there.keys().isdisjoint(found)
    assert missing([Requirement("tqdm; sys_platform == 'win32'")], {}) == {}
    assert missing([Requirement("tomli; python_version < '3.12'")], {}) == {}


def test_a_version_that_does_not_suffice_is_refused():
    with pytest.raises(SystemExit, match=r"has torch 2\.9\.0, but torch>=2\.11 is needed"):
        missing([Requirement("torch>=2.11")], {"torch": "2.9.0"})
    # A wheel of what is installed here would not do either, as a new venv's setuptools.
    with pytest.raises(SystemExit, match=r"this environment has pytest .*, but pytest>=999 is"):
        missing([Requirement("pytest>=8"), Requirement("pytest>=999")], {})
