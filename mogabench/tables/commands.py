"""The command that would fill a cell."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from mogabench.defaults import DEFAULT_TASK
from mogabench.escaping import command_line
from mogabench.paper.papers import paper_options
from mogabench.records import Kind
from mogabench.releases import is_released
from mogabench.subject import assignment
from mogabench.tables.timed import set_up_of
from mogabench.tasks import flag, get_task
from mogabench.variants import variant_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from mogabench.paper import Column, Paper
    from mogabench.subject import Subject


def command_for(
    subject: Subject,
    kind: Kind,
    *,
    recipe: str | None = None,
    settings: Mapping[str, Any] | None = None,
    pretraining: str = "none",
    dataset: str = "",
) -> str:
    """A command line that counts the subject or evaluates it.

    Args:
        subject: What to measure.
        kind: Which sort of figure.
        recipe: The training set-up behind the printed figure, where it is known.
        settings: The recipe's settings that are different.
        pretraining: The data set of the weights that training begins with: ``in1k``, ``in21k``, or
            ``none``; empty where it is not known.
        dataset: What the printed figure was measured on; empty for the task's own data set.
    """
    words, task = ["run", subject.task], get_task(subject.task)
    if len(task.methods) > 1:
        words += ["--method", subject.method]
    variant = None if subject.options else variant_of(subject.backbone)
    words += ["--backbone", subject.backbone] if variant is None else ["--variant", variant]
    words += _size(subject)
    words += _each("--option", dict(subject.options))
    if kind == Kind.QUALITY:
        is_own = task.data_of(subject, dataset) == task.data_of(subject)
        words += ["--data", "DIR", *(task.beside_data if is_own else ())]
        words += _weights(subject, recipe, settings or {}, pretraining)
    return command_line(*words)


def timing_command(subject: Subject, column: Column) -> str | None:
    """A command line that times a network as a column's figures are.

    Returns:
        None for a method or options that ``mogabench profile`` times by the name of a paper alone.
    """
    task = get_task(subject.task)
    if subject.method != task.methods[0] or subject.options or subject.part:
        return None
    is_usual = subject.input_size == task.default_sizes[subject.method]
    size = [] if is_usual else _size(subject)
    return command_line("profile", subject.backbone, *_set_up(subject.task, column), *size)


def paper_timing_command(paper: Paper, task: str, column: Column) -> str:
    """A command line that times a paper's networks of a task as a column's figures are."""
    return command_line("profile", *_set_up(task, column), *paper_options(paper))


def _set_up(task: str, column: Column) -> list[str]:
    words = [] if task == DEFAULT_TASK else ["--task", task]
    for name, value in set_up_of(column).items():
        if value:  # the options are called as what a record says
            words += [flag(name.removeprefix("on_")), *[str(value)] * (value is not True)]
    return words


def _size(subject: Subject) -> list[str]:
    return ["--size", "x".join(map(str, subject.input_size))]


def _weights(
    subject: Subject, recipe: str | None, settings: Mapping[str, Any], pretraining: str
) -> list[str]:
    """Evaluates the released weights where there are some, else trains them."""
    if recipe is None:
        return _file(pretraining)
    without_ema = settings.get("ema", ...) is None
    others = {key: value for key, value in settings.items() if key != "ema"}
    words = ["--recipe", recipe, *["--no-ema"] * without_ema, *_each("--set", others)]
    if is_released(subject, recipe) and not others:
        return [*words, "--weights", "official"]
    initial = [] if pretraining in ("", "none") else _initial_weights(subject, pretraining)
    return [*words, "--train", *initial]


def _initial_weights(subject: Subject, pretraining: str) -> list[str]:
    if subject.task == "classification":
        return [*_file(pretraining), "--new-head"]
    is_released = variant_of(subject.backbone) is not None and pretraining == "in1k"
    return ["--weights", "official"] if is_released else _file(pretraining)


def _file(pretraining: str) -> list[str]:
    """A file of the user's, of which a record must say what its training started from."""
    return ["--weights", "FILE", *(["--pretraining", pretraining] if pretraining else [])]


def _each(option: str, values: Mapping[str, Any]) -> list[str]:
    return [word for item in values.items() for word in (option, assignment(*item))]
