"""YAML of the user's, read strictly."""

import math

import pytest
import yaml

from mogabench.yaml_text import YamlError, parse_yaml


def test_plain_scalars_are_those_of_yaml_1_2():
    text = "[1e-3, 160_000, .5, -3., 09, null, ~, true, no, 1:30, 0x_, 2020-01-01, 1.2.3, '7']"
    expected = [1e-3, 160_000, 0.5, -3.0, 9, None, None, True]
    expected += ["no", "1:30", "0x_", "2020-01-01", "1.2.3", "7"]
    assert parse_yaml(text) == expected
    assert [type(item) for item in parse_yaml(text)] == [type(item) for item in expected]
    assert math.isnan(parse_yaml(".nan")) and parse_yaml("-.inf") == -math.inf


def test_blocks_are_read_as_pyyaml_reads_them():
    text = "# why\na:\n  - {b: c, d: [e, 'f: g']}\n  - |\n    two\n    lines\n"
    text += "h: >-\n  folded\n  text\n"
    assert parse_yaml(text) == yaml.safe_load(text)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("a: 1\nb: 2\na: 3", "line 3, column 1: 'a' appears twice"),
        ("a: &x [*x]", "line 1, column 4: anchors and aliases"),
        ("a:\n  !!int _", "line 2, column 3: the tag"),
        ("!!python/object/apply:os.system [ls]", "line 1, column 1: the tag"),
        ("? [1]\n: 2", "a key is a text"),
        ("[" * 30, "more than 20 levels"),
        ("[" * 5000, "levels|depth"),
        ("9" * 5000, "a number of 5000 characters"),
        ("a: [1", "line 2, column 1"),
        ("\0", "character"),
        ("# " + "long" * 500_000, "too many"),
    ],
)
def test_what_is_refused(text, says):
    with pytest.raises(YamlError, match=says):
        parse_yaml(text)


def test_anchors_are_read_where_they_are_wanted_and_stay_short():
    assert parse_yaml("a: &x [1]\nb: [*x, *x]", anchors=True) == {"a": [1], "b": [[1], [1]]}
    for text in ("a: &x [*x]", "a: &x [1]\nb: &y [*x, *x]\nc: [*y, *y]", "a: &x [&y 1]"):
        with pytest.raises(YamlError, match="within a part that has one"):
            parse_yaml(text, anchors=True)
    many = "a: &x [1]\nb: [" + "*x, " * 201 + "]"
    with pytest.raises(YamlError, match="more than 200 aliases"):
        parse_yaml(many, anchors=True)
