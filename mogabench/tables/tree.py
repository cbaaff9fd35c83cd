"""A network's parameters and operations module by module, as rows and as plain data."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mogabench.measure.complexity import ModuleNode

HEADS = ("module", "type", "param. (M)", "FLOPs (G)", "share")


def tree_rows(tree: ModuleNode, *, depth: int, convention: str) -> Iterator[tuple[str, ...]]:
    """A row for each module down to a depth, those without parameters or operations left out.

    Args:
        tree: The whole network.
        depth: Levels below the network; 0 for it alone.
        convention: By which operations are counted.
    """
    whole = tree.operations[convention]
    for level, node in _walk(tree, depth):
        operations = node.operations[convention]
        if node.parameters or operations:
            yield (
                "  " * level + (node.name or "whole network"),
                node.type,
                f"{node.parameters / 1e6:.3f}",
                f"{operations / 1e9:.3f}",
                f"{operations / whole:.1%}" if whole else "",
            )


def tree_entry(node: ModuleNode, *, depth: int) -> dict[str, Any]:
    """A module with its children as plain data: elements, and multiply-accumulates."""
    entry: dict[str, Any] = {
        "name": node.name,
        "type": node.type,
        "parameters": node.parameters,
        "operations": dict(node.operations),
    }
    if depth and node.children:
        entry["children"] = [tree_entry(child, depth=depth - 1) for child in node.children]
    return entry


def _walk(node: ModuleNode, depth: int, level: int = 0) -> Iterator[tuple[int, ModuleNode]]:
    yield level, node
    if level < depth:
        for child in node.children:
            yield from _walk(child, depth, level + 1)
