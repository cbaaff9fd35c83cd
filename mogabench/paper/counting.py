"""Who counted the printed operations, with which tool, read from a paper's ``counting.yaml``."""

from __future__ import annotations

from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING

from mogabench.errors import UserError, unknown
from mogabench.paper.reading import build, read_yaml

if TYPE_CHECKING:
    from pathlib import Path

    from mogabench.paper.meta import Meta

CONVENTIONS = {
    "matmul": "convolutions, linear layers and matrix products",
    "fvcore": "as fvcore counts, normalisation, pooling and interpolation included",
    "paper": "as mmcv 1.x counts, attention products left out",
}
"""The conventions for counting operations, with what each includes."""


@dataclass(frozen=True)
class CountingSource:
    """Where printed operations come from, and so how they were counted.

    Attributes:
        source: The paper or repository.
        convention: One of `CONVENTIONS`.
        tool: What counted.
        evidence: How that is known.
        tasks: Patterns of the tasks whose rows it counted.
        backbones: Patterns of the names of the networks that it counted, such as ``swin_*``.
        methods: The methods whose rows it counted; none for all.
    """

    source: str
    convention: str
    tool: str
    evidence: str
    tasks: tuple[str, ...] = ("*",)
    backbones: tuple[str, ...] = ("*",)
    methods: tuple[str, ...] = ()

    def counted(self, meta: Meta) -> bool:
        """Whether the operations of such a row are this source's."""
        return (
            any(fnmatchcase(meta.task, pattern) for pattern in self.tasks)
            and (not self.methods or meta.method in self.methods)
            and any(fnmatchcase(meta.backbone, pattern) for pattern in self.backbones)
        )


def read_counting(path: Path) -> tuple[CountingSource, ...]:
    """Every source in a file, in order.

    Raises:
        UserError: A source has an unknown convention or field, or lacks one.
    """
    sources = []
    for number, entry in enumerate(read_yaml(path, list), 1):
        where = f"{path}, source {number}"
        source = build(CountingSource, entry, where)
        if source.convention not in CONVENTIONS:
            raise UserError(f"{where}: {unknown('convention', source.convention, CONVENTIONS)}")
        sources.append(source)
    return tuple(sources)
