"""What of a run on a GPU is not the same each time."""

from __future__ import annotations

import re
import warnings
from typing import TYPE_CHECKING, Any

import torch

from mogabench.engine.reporting import Noting

if TYPE_CHECKING:
    from mmengine.runner import Runner

    from mogabench.engine.job import Job

_WITHOUT_OTHER_FORM = re.compile(r"(\w+) does not have a deterministic implementation")


class DeterminismNotes(Noting):
    """Notes what a GPU computes in an order that changes from run to run.

    On a CPU a run of the same seed gives the same bits, and there is nothing to note. On a GPU the
    first step, or the first batch of an evaluation alone, is computed in PyTorch's deterministic
    mode, which names the operators that have no deterministic form. All else is computed in the
    faster mode. A compiled network, which would be compiled once more for that, is not asked.

    Args:
        job: The training or evaluation.
        chosen_by_time: Whether cuDNN times its kernels and takes the fastest.
    """

    def __init__(self, job: Job[Any, Any], *, chosen_by_time: bool) -> None:
        self.is_on_gpu, self.chosen_by_time = job.device != "cpu", chosen_by_time
        self.is_asked = self.is_on_gpu and not job.compile
        self.operators: set[str] = set()

    def before_train_iter(self, runner: Runner, *_: Any, **__: Any) -> None:
        """Begins to listen, in the first step."""
        self._begin()

    def after_train_iter(self, runner: Runner, *_: Any, **__: Any) -> None:
        """Ends it."""
        self._end()

    def before_val_iter(self, runner: Runner, *_: Any, **__: Any) -> None:
        """Begins to listen, in the first batch where nothing was trained."""
        self._begin()

    def after_val_iter(self, runner: Runner, *_: Any, **__: Any) -> None:
        """Ends it."""
        self._end()

    def notes(self) -> list[str]:
        """A line, where a GPU was used."""
        if not self.is_on_gpu:
            return []
        reasons = ["operators take PyTorch's fastest form, which may add in any order"]
        if self.operators:
            reasons.append(f"{', '.join(sorted(self.operators))} have no other")
        if self.chosen_by_time:
            reasons.append("cuDNN takes the kernels that were fastest when tried")
        return [f"on a GPU the same seed gives other last digits: {'; '.join(reasons)}"]

    def _begin(self) -> None:
        if self.is_asked:
            self.listening = warnings.catch_warnings(record=True)
            self.heard = self.listening.__enter__()
            warnings.simplefilter("always")
            torch.use_deterministic_algorithms(True, warn_only=True)

    def _end(self) -> None:
        if self.is_asked:
            self.is_asked = False
            torch.use_deterministic_algorithms(False)
            self.listening.__exit__(None, None, None)
            found = (_WITHOUT_OTHER_FORM.search(str(warning.message)) for warning in self.heard)
            self.operators |= {match[1] for match in found if match}
