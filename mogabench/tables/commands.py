"""The command that would fill a cell."""

from __future__ import annotations

import json
import shlex
from typing import TYPE_CHECKING, Any

from mogabench.records import Kind
from mogabench.releases import is_released
from mogabench.tasks import get_task
from mogabench.variants import variant_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from mogabench.subject import OptionValue, Subject


def command_for(
    subject: Subject,
    kind: Kind,
    *,
    recipe: str | None = None,
    settings: Mapping[str, Any] | None = None,
    pretraining: str = "none",
) -> str:
    """A command line that measures the subject.

    Args:
        subject: What to measure.
        kind: Which sort of figure.
        recipe: The training set-up behind the printed figure, where it is known.
        settings: The recipe's settings that are different.
        pretraining: The data set of the weights that training begins with: ``in1k``, ``in21k``, or
            ``none``.
    """
    if kind == Kind.THROUGHPUT:
        task = "" if subject.task == "classification" else f" --task {subject.task}"
        return f"mogabench profile {subject.backbone}{task}"
    words = ["mogabench run", subject.task]
    if len(get_task(subject.task).methods) > 1:
        words.append(f"--method {subject.method}")
    if len(subject.options) or variant_of(subject.backbone) is None:
        words.append(f"--backbone {subject.backbone}")
    else:
        words.append(f"--variant {variant_of(subject.backbone)}")
    words.append(f"--size {'x'.join(map(str, subject.input_size))}")
    words += [f"--option {shlex.quote(_assignment(*option))}" for option in subject.options]
    if kind == Kind.QUALITY:
        words += ["--data DIR", *_weights(subject, recipe, settings or {}, pretraining)]
    return " ".join(words)


def _weights(
    subject: Subject, recipe: str | None, settings: Mapping[str, Any], pretraining: str
) -> list[str]:
    """Evaluates the released weights where there are some, else trains them."""
    if recipe is None:
        return ["--weights FILE"]
    without_ema = settings.get("ema", ...) is None
    others = {key: value for key, value in settings.items() if key != "ema"}
    words = [f"--recipe {recipe}", *["--no-ema"] * without_ema]
    words += [f"--set {shlex.quote(_assignment(*item))}" for item in others.items()]
    if is_released(subject, recipe) and not others:
        return [*words, "--weights official"]
    initial = [] if pretraining == "none" else _initial_weights(subject, pretraining)
    return [*words, "--train", *initial]


def _initial_weights(subject: Subject, pretraining: str) -> list[str]:
    if subject.task == "classification":
        return ["--weights FILE --new-head"]
    is_released = variant_of(subject.backbone) is not None and pretraining == "in1k"
    return [f"--weights {'official' if is_released else 'FILE'}"]


def _assignment(name: str, value: OptionValue) -> str:
    text = value if isinstance(value, str) else json.dumps(value, separators=(",", ":"))
    return f"{name}={text}"
