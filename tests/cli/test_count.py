"""``mogabench count`` as a whole command."""

import json
import shlex

import pytest
from typer.testing import CliRunner

from mogabench.cli import app
from mogabench.errors import UserError


def counted(*arguments):
    done = CliRunner().invoke(app, ["count", *arguments])
    assert done.exit_code == 0, done.output
    return done.stdout


def test_each_module_has_its_share():
    """ResNet-18 by hand: the first convolution and the classifier."""
    tree = json.loads(counted("resnet18", "--depth", "1", "--format", "json"))["tree"]
    parts = {child["name"]: child for child in tree["children"]}
    assert parts["conv1"]["parameters"] == 64 * 3 * 7 * 7
    assert parts["conv1"]["operations"]["matmul"] == 64 * 3 * 7 * 7 * 112 * 112
    assert parts["fc"]["parameters"] == 512 * 1000 + 1000
    assert parts["fc"]["operations"]["matmul"] == 512 * 1000
    assert sum(part["parameters"] for part in parts.values()) == tree["parameters"] == 11_689_512


def test_the_table_goes_as_deep_as_asked_within_80_columns():
    lines = counted("xt", "--task", "pose", "--depth", "2", "--convention", "fvcore").splitlines()
    assert lines[0] == "pose/simple_baseline/moganet_xtiny@256x192"
    assert max(map(len, lines)) <= 80
    rows = lines[3 : lines.index("Operations are multiply-accumulates by the convention 'fvcore':")]
    assert {len(line) - len(line.lstrip()) for line in rows} == {0, 2, 4}


@pytest.mark.parametrize(
    # See MOGANET in tests/measure/test_complexity_models.py.
    ("convention", "giga"),
    [("matmul", "0.782"), ("fvcore", "0.787"), ("paper", "0.800")],
)
def test_the_table_is_of_the_convention_that_is_asked_for(convention, giga):
    lines = counted("xt", "--depth", "0", "--convention", convention).splitlines()
    assert giga in lines[3].split()


def test_the_network_is_the_one_that_is_asked_for():
    words = shlex.split("--task detection --method mask_rcnn --size 64x96 --option frozen_stages=1")
    found = json.loads(counted("xt", *words, "--format", "json"))
    assert found["subject"] == "detection/mask_rcnn/moganet_xtiny@64x96?frozen_stages=1"


def test_an_unknown_convention_names_those_there_are():
    error = str(CliRunner().invoke(app, ["count", "s", "--convention", "mmcv"]).exception)
    assert "unknown convention 'mmcv'" in error and "paper" in error


@pytest.mark.parametrize("size", [(), ("--size", "64")])
def test_an_image_size_beside_the_size_is_refused(size):
    """The network was built for the size, under the key of both, or ended in a traceback."""
    given = ["count", "test_vit", *size, "--option", "img_size=96"]
    error = CliRunner().invoke(app, given).exception
    assert isinstance(error, UserError)
    assert str(error).startswith("--option img_size=96 contradicts the size ")
    assert "img_size=96" in counted("test_vit", "--size", "96", "--option", "img_size=96")
