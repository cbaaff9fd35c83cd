"""What a shell completes: names of tasks, networks, recipes and tables.

``mogabench --install-completion`` sets a shell up. Each function takes how a word begins.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import typer  # noqa: TC002  (typer reads annotations at run time)

if TYPE_CHECKING:
    from collections.abc import Iterable


def complete_table(ctx: typer.Context, incomplete: str) -> list[str]:
    """The IDs of the tables of the paper that is named before."""
    from mogabench.errors import UserError
    from mogabench.paper import get_paper

    try:
        paper = get_paper(ctx.params.get("paper"), ctx.params.get("papers"))
    except UserError:
        return []
    return [name for name in paper.table_ids if name.casefold().startswith(incomplete.casefold())]


def complete_paper(ctx: typer.Context, incomplete: str) -> list[str]:
    """The papers' names."""
    from mogabench.errors import UserError
    from mogabench.paper import paper_names

    try:
        return _beginning(incomplete, paper_names(ctx.params.get("papers")))
    except UserError:
        return []


def complete_task(incomplete: str) -> list[str]:
    """The tasks' names."""
    from mogabench.tasks import tasks

    return _beginning(incomplete, tasks())


def complete_network(incomplete: str) -> list[str]:
    """The sizes of MogaNet and all names of timm models."""
    from mogabench.catalogue import backbones
    from mogabench.variants import VARIANTS

    return _beginning(incomplete, [*VARIANTS, *sorted(backbones())])


def complete_variant(incomplete: str) -> list[str]:
    """The sizes of MogaNet."""
    from mogabench.variants import VARIANTS

    return _beginning(incomplete, VARIANTS)


def complete_recipe(incomplete: str) -> list[str]:
    """The recipes of all tasks."""
    from mogabench import recipes
    from mogabench.tasks import tasks

    return _beginning(incomplete, [name for t in tasks().values() for name in recipes.names(t)])


def complete_ablation(incomplete: str) -> list[str]:
    """The ablations' names."""
    from mogabench.paper import ablations, get_paper

    return _beginning(incomplete, ablations(get_paper()))


def complete_ablated(incomplete: str) -> list[str]:
    """The networks of the ablations, such as ``A5/4``."""
    from mogabench.paper import ablations, get_paper

    return _beginning(
        incomplete, [one.name for a in ablations(get_paper()).values() for one in a.variants]
    )


def complete_name(ctx: typer.Context, incomplete: str) -> list[str]:
    """All that ``mogabench show`` takes, but for records."""
    tables = complete_table(ctx, incomplete)
    return [*tables, *complete_recipe(incomplete), *complete_network(incomplete)]


def _beginning(incomplete: str, names: Iterable[str]) -> list[str]:
    return [name for name in names if name.startswith(incomplete)]
