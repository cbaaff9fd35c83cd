"""Opens the networks that an analysis names."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mogabench.analysis.classifier import open_classifier
from mogabench.cli.subjects import choose_subject
from mogabench.tasks import get_task
from mogabench.variants import VARIANTS

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from mogabench.analysis.classifier import Classifier


def open_network(
    name: str,
    weights: str,
    data: str,
    *,
    class_map: Path | None,
    size: str | None,
    device: str,
    runtime: str = "torch",
    options: Sequence[str] = (),
) -> Classifier:
    """Opens a classifier by its timm name or variant; arguments as on the command line.

    Raises:
        UserError: Name, weights and data do not fit together.
    """
    subject = choose_subject(
        get_task("classification"),
        variant=None,
        backbone=VARIANTS.get(name, name),
        method=None,
        size=size,
        options=options,
    )
    return open_classifier(
        subject,
        weights=weights,
        data=data,
        class_map=class_map,
        device=device,
        runtime=runtime,
        sized=size is not None,
    )
