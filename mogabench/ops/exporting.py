"""Whether a network is being exported to a file."""

from __future__ import annotations

import torch


def is_exporting() -> bool:
    """Whether what runs becomes a file, which must not need this project's operators.

    PyTorch 2.11 takes ``torch.compiler.is_exporting()`` for true in whatever it compiles; the flag
    behind it is right.
    """
    return (
        torch.compiler._is_exporting_flag
        or torch.onnx.is_in_onnx_export()
        or torch.jit.is_tracing()  # type: ignore[no-untyped-call,attr-defined]
    )
