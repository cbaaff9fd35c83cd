"""YAML of the user's: settings and plans, read strictly.

Scalars are those of YAML 1.2's core schema that settings need: null, true and false, decimal
numbers (``160_000`` and ``1e-3`` among them), and text. Tags and keys that are there twice are
refused, and so is what would take a machine's memory or stack to read.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import yaml

_MOST_CHARACTERS = 1_000_000
_MOST_LEVELS = 20
_MOST_DIGITS = 40
_MOST_ALIASES = 200

_SCALARS = {
    "null": re.compile(r"^(~|null|Null|NULL|)$"),
    "bool": re.compile(r"^(true|True|TRUE|false|False|FALSE)$"),
    "float": re.compile(
        r"^[-+]?(\d[\d_]*\.?\d*|\.\d+)[eE][-+]?\d+$|^[-+]?(\d[\d_]*\.\d*|\.\d+)$"
        r"|^\.nan$|^[-+]?\.inf$"
    ),
    "int": re.compile(r"^[-+]?\d[\d_]*$"),
}
"""What a plain scalar is, by the first expression that matches; else it is text."""


class YamlError(ValueError):
    """A text that cannot be read, with the place where that shows."""


def parse_yaml(text: str, *, anchors: bool = False) -> Any:
    """Reads a text as mappings, lists and scalars.

    Args:
        text: The text.
        anchors: Whether a part may be named and used again; not within another such part, so that
            a short text stays short.

    Raises:
        YamlError: It is no YAML, or uses what is refused here.
    """
    if len(text) > _MOST_CHARACTERS:
        raise YamlError(f"{len(text)} characters are too many for settings")
    try:
        _check_structure(text, anchors=anchors)
        return yaml.load(text, _Loader)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        place = f"line {mark.line + 1}, column {mark.column + 1}: " if mark else ""
        raise YamlError(f"{place}{error.problem or error.context}") from None
    except (yaml.YAMLError, UnicodeEncodeError) as error:
        raise YamlError(" ".join(str(error).split())) from None


if TYPE_CHECKING:
    from yaml import SafeLoader as _Fastest
else:  # libyaml's where PyYAML was built with it: about eight times as fast
    _Fastest = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


def _check_structure(text: str, *, anchors: bool) -> None:
    """Refuses tags, depth and, where they are not wanted, anchors, before anything is built."""
    levels = aliases = 0
    named_at: int | None = None  # the level of the part with an anchor that this is in
    for event in yaml.parse(text, Loader=_Fastest):
        is_alias = isinstance(event, yaml.AliasEvent)
        is_named = is_alias or bool(getattr(event, "anchor", None))
        aliases += is_alias
        if aliases > _MOST_ALIASES:
            raise _refusal(f"more than {_MOST_ALIASES} aliases", event)
        if is_named and not anchors:
            raise _refusal("anchors and aliases are not read here", event)
        if is_named and named_at is not None:
            raise _refusal("an anchor or alias within a part that has one is not read", event)
        if tag := getattr(event, "tag", None):
            raise _refusal(f"the tag {tag} is not read here", event)
        if isinstance(event, yaml.CollectionStartEvent):
            levels += 1
            if is_named:
                named_at = levels
            if levels > _MOST_LEVELS:
                raise _refusal(f"more than {_MOST_LEVELS} levels", event)
        elif isinstance(event, yaml.CollectionEndEvent):
            if named_at == levels:
                named_at = None
            levels -= 1


class _Loader(_Fastest):
    """Reads the scalars of `_SCALARS`, and keys that are there once."""

    def construct_mapping(self, node: Any, deep: bool = False) -> dict[Any, Any]:
        """Constructs a mapping whose keys are texts or numbers, each there once."""
        seen = set()
        for key_node, _ in node.value:
            if not isinstance(key_node, yaml.ScalarNode):
                raise _refusal("a key is a text, not a list or a mapping", key_node)
            if key_node.value in seen:
                raise _refusal(f"{key_node.value!r} appears twice", key_node)
            seen.add(key_node.value)
        return super().construct_mapping(node, deep=deep)


def _refusal(reason: str, where: Any) -> yaml.MarkedYAMLError:
    return yaml.MarkedYAMLError(problem=reason, problem_mark=where.start_mark)


def _number(loader: _Loader, node: Any) -> int | float:
    if len(node.value) > _MOST_DIGITS:
        raise _refusal(f"a number of {len(node.value)} characters", node)
    text = node.value.replace("_", "").replace(".inf", "inf").replace(".nan", "nan")
    return int(text) if _SCALARS["int"].match(node.value) else float(text)


_Loader.yaml_implicit_resolvers = {}  # its own, not those of YAML 1.1
for _name, _expression in _SCALARS.items():
    _Loader.add_implicit_resolver(f"tag:yaml.org,2002:{_name}", _expression, None)
for _name in ("int", "float"):
    _Loader.add_constructor(f"tag:yaml.org,2002:{_name}", _number)
