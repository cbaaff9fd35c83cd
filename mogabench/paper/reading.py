"""Reading the YAML files of a paper's folder, with errors that name the place."""

from __future__ import annotations

from dataclasses import MISSING, fields
from typing import TYPE_CHECKING, Any, TypeVar

from mogabench.errors import UserError, unknown
from mogabench.files import read_regular
from mogabench.yaml_text import YamlError, parse_yaml

if TYPE_CHECKING:
    from pathlib import Path

    from _typeshed import DataclassInstance

    Built = TypeVar("Built", bound=DataclassInstance)


def read_text(path: Path) -> str:
    """The text of a file.

    Raises:
        UserError: It cannot be read, or is not UTF-8; the line and the column of what is not.
    """
    try:
        content = read_regular(path)
        return content.decode("utf-8-sig")
    except OSError as error:
        raise UserError(f"{path}: {error.strerror}") from error
    except UnicodeDecodeError as error:
        before = content[: error.start]
        line, column = before.count(b"\n") + 1, len(before) - before.rfind(b"\n")
        raise UserError(f"{path}, line {line}, column {column}: not UTF-8 text") from error


def read_yaml(path: Path, kind: type[dict[Any, Any]] | type[list[Any]] = dict) -> Any:
    """What a YAML file holds; empty where there is no such file.

    Args:
        path: The file.
        kind: What the file must hold.

    Raises:
        UserError: It is no YAML, or holds something else.
    """
    if not path.exists():
        return kind()
    try:
        found = parse_yaml(read_text(path), anchors=True)
    except YamlError as error:
        raise UserError(f"{path}, {error}") from None
    if found is None:
        return kind()
    if not isinstance(found, kind):
        raise UserError(f"{path}: must hold a {'list' if kind is list else 'mapping'}")
    return found


def build(kind: type[Built], entry: Any, where: str, **known: Any) -> Built:
    """Makes a dataclass of an entry; a tuple of texts may be written as a list or a single text.

    Args:
        kind: The dataclass.
        entry: Its fields by name.
        where: The file and the place in it.
        **known: Fields that the entry does not say, or says otherwise.

    Raises:
        UserError: The entry is no mapping, has an unknown field or a value that is none of its
            field, or lacks one.
    """
    check_fields(entry, [field.name for field in fields(kind)], where)
    given = {**entry, **known}
    for field in fields(kind):
        if field.name in entry and field.name not in known:
            given[field.name] = _value(str(field.type), entry[field.name], f"{where}, {field.name}")
        is_needed = field.default is MISSING and field.default_factory is MISSING
        if is_needed and given.get(field.name) is None:
            raise UserError(f"{where}: lacks '{field.name}'")
    return kind(**given)


def _value(kind: str, value: Any, where: str) -> Any:
    """A field's value, by the annotation of the dataclass."""
    if kind == "tuple[str, ...]":
        return tuple(as_list(value))
    if kind.startswith("str"):
        if isinstance(value, (list, dict)):
            raise UserError(f"{where}: must be a text")
        return value if value is None else str(value)
    wanted = {"tuple": list, "Mapping": dict, "bool": bool}.get(kind.partition("[")[0])
    if wanted is not None:
        check_kind(value, wanted, where)
    return tuple(value) if isinstance(value, list) else value


_KINDS = {str: "a text", list: "a list", dict: "a mapping", bool: "true or false"}


def check_kind(value: Any, kind: type, where: str) -> None:
    """Refuses a value of another kind.

    Raises:
        UserError: It is of another kind.
    """
    if not isinstance(value, kind):
        raise UserError(f"{where}: must be {_KINDS[kind]}")


def check_fields(entry: Any, names: list[str], where: str) -> None:
    """Refuses what is no mapping, and one with other fields.

    Raises:
        UserError: It is one of these.
    """
    if not isinstance(entry, dict):
        raise UserError(f"{where}: must be a mapping with {', '.join(names)}")
    for name in entry:
        if name not in names:
            raise UserError(f"{where}: {unknown('field', str(name), names)}")


def as_list(value: Any) -> list[str]:
    """A list of texts, of which a single one may be written alone."""
    return [str(item) for item in value] if isinstance(value, list) else [str(value)]
