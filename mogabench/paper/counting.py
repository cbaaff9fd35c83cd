"""Who counted the printed operations, with which tool, read from ``counting.yaml``."""

from __future__ import annotations

from dataclasses import dataclass
from fnmatch import fnmatchcase
from functools import cache
from typing import TYPE_CHECKING

from mogabench.errors import UserError
from mogabench.paper.vocabulary import read_yaml

if TYPE_CHECKING:
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
        tasks: Patterns of the tasks whose rows it counted.
        backbones: Patterns of the names of the networks that it counted, such as ``swin_*``.
        convention: One of `CONVENTIONS`.
        tool: What counted.
        evidence: How that is known.
        methods: The methods whose rows it counted; none for all.
    """

    source: str
    tasks: tuple[str, ...]
    backbones: tuple[str, ...]
    convention: str
    tool: str
    evidence: str
    methods: tuple[str, ...] = ()

    def counted(self, meta: Meta) -> bool:
        """Whether the operations of such a row are this source's."""
        return (
            any(fnmatchcase(meta.task, pattern) for pattern in self.tasks)
            and (not self.methods or meta.method in self.methods)
            and any(fnmatchcase(meta.backbone, pattern) for pattern in self.backbones)
        )


def counting_source(meta: Meta) -> CountingSource:
    """Who counted the operations of a row: the first source in the file that did.

    Raises:
        UserError: No source did.
    """
    for source in counting_sources():
        if source.counted(meta):
            return source
    raise UserError(f"counting.yaml: nobody counted {meta.backbone} for {meta.task}")


@cache
def counting_sources() -> tuple[CountingSource, ...]:
    """Every source, in the file's order.

    Raises:
        UserError: A source has an unknown convention.
    """
    sources = []
    for entry in read_yaml("counting.yaml"):
        lists = {
            name: tuple(entry[name]) for name in ("tasks", "backbones", "methods") if name in entry
        }
        source = CountingSource(**entry | lists)
        if source.convention not in CONVENTIONS:
            raise UserError(
                f"counting.yaml: convention '{source.convention}' of {source.source} is not one of "
                f"{', '.join(CONVENTIONS)}"
            )
        sources.append(source)
    return tuple(sources)
