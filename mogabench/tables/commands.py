"""The command that would fill a cell."""

from __future__ import annotations

import json
import shlex
from typing import TYPE_CHECKING

from mogabench.records import Kind
from mogabench.variants import variant_of

if TYPE_CHECKING:
    from mogabench.subject import OptionValue, Subject


def command_for(
    subject: Subject, kind: Kind, *, recipe: str | None = None, fine_tuned: bool = False
) -> str:
    """A command line that measures the subject.

    Args:
        subject: What to measure.
        kind: Which sort of figure.
        recipe: The training set-up behind the printed figure, where it is known.
        fine_tuned: Whether that training starts from weights of another data set.
    """
    if kind == Kind.THROUGHPUT:
        return f"mogabench profile {subject.backbone}"
    words = ["mogabench run", subject.task]
    if len(subject.options) or variant_of(subject.backbone) is None:
        words.append(f"--backbone {subject.backbone}")
    else:
        words.append(f"--variant {variant_of(subject.backbone)}")
    words.append(f"--size {'x'.join(map(str, subject.input_size))}")
    words += [f"--option {shlex.quote(_assignment(*option))}" for option in subject.options]
    if kind == Kind.QUALITY:
        words.append("--data DIR")
        words.append(f"--recipe {recipe} --train" if recipe else "--weights FILE")
        words += ["--weights FILE --new-head"] * bool(recipe and fine_tuned)
    return " ".join(words)


def _assignment(name: str, value: OptionValue) -> str:
    text = value if isinstance(value, str) else json.dumps(value, separators=(",", ":"))
    return f"{name}={text}"
