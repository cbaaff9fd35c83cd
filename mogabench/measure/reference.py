"""The independent check of the operation counter: fvcore on the CPU."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import TYPE_CHECKING

from timm.layers import set_fused_attn

from mogabench.measure.complexity import count_subject
from mogabench.tasks import get_task

if TYPE_CHECKING:
    from mogabench.subject import Subject

with warnings.catch_warnings():
    warnings.simplefilter("ignore", FutureWarning)  # fvcore scripts a loss as it is imported
    from fvcore.nn import FlopCountAnalysis


@dataclass(frozen=True)
class Comparison:
    """Operations by two counters, one multiply-accumulate as one.

    Attributes:
        ours: By `mogabench.measure.complexity`, convention ``fvcore``.
        fvcore: By fvcore itself.
    """

    ours: int
    fvcore: int

    @property
    def difference(self) -> float:
        """The relative difference of ours from fvcore's."""
        return self.ours / self.fvcore - 1


def compare_with_fvcore(subject: Subject) -> Comparison:
    """Counts the subject's operations twice, fvcore's on a real forward pass on the CPU.

    timm's fused attention is switched off in this process: fvcore skips that operator and knows
    the two matrix products that it stands for.
    """
    set_fused_attn(False)
    task = get_task(subject.task)
    network = task.build(subject).eval()
    analysis = FlopCountAnalysis(network, task.example_inputs(subject))
    analysis.unsupported_ops_warnings(False).uncalled_modules_warnings(False)
    analysis.tracer_warnings("none")
    return Comparison(count_subject(subject).operations["fvcore"], int(analysis.total()))
