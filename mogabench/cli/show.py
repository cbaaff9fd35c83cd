"""``mogabench show``: a table, a network, a recipe or a record."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from mogabench.cli.completion import complete_name, complete_network
from mogabench.cli.options import (
    OverridesOption,
    PaperOption,
    PapersOption,
    ResultsOption,
    VariantOption,
)

if TYPE_CHECKING:
    from mogabench.paper import Paper
    from mogabench.records import Store
    from mogabench.tables.about import Pairs

_SHORTEST_ID = 4
"""Digits that name a record: fewer would be a table, or any record."""


def show(
    name: Annotated[
        str,
        typer.Argument(
            help="A table's ID, a network's name, a recipe's name or file, or the first digits of "
            f"a record's id, at least {_SHORTEST_ID}.",
            autocompletion=complete_name,
        ),
    ],
    variant: VariantOption = None,
    overrides: OverridesOption = None,
    paper: PaperOption = None,
    papers: PapersOption = None,
    results: ResultsOption = None,
) -> None:
    """Print what is known of a table, a network, a recipe or a record.

    A recipe is printed as it is written; with --variant or --set, with the value of every setting.
    """
    from mogabench import recipes
    from mogabench.console import print_pairs
    from mogabench.errors import UserError, unknown
    from mogabench.paper import get_paper
    from mogabench.records import open_store
    from mogabench.tasks import tasks

    known = [one for task in tasks().values() for one in recipes.names(task)]
    if name in known or name.endswith(".yaml") or "/" in name:
        _show_recipe(name, variant, overrides or [])
        return
    if variant is not None or overrides:
        raise UserError(f"{name} is not a recipe: only a recipe takes --variant and --set")
    chosen = get_paper(paper, papers)
    found = _about(name, chosen, open_store(results))
    if not found:
        valid = [*chosen.table_ids, *known, *complete_network("")]
        raise unknown("table, network, recipe or record", name, valid, most=0)
    for pairs in found:
        print_pairs(pairs)


def _show_recipe(name: str, variant: str | None, overrides: list[str]) -> None:
    """Prints a recipe's text, or what it resolves to for a variant or with changes."""
    import yaml

    from mogabench import recipes
    from mogabench.tasks import load_recipe, recipe_task
    from mogabench.variants import backbone_of, variant_of

    if variant is None and not overrides:
        load_recipe(name)  # refuses what is wrong in it
        print(recipes.source(name, recipe_task(name)), end="")
        return
    short = None if variant is None else variant_of(backbone_of(variant))
    resolved = load_recipe(name, variant=short, overrides=overrides)
    print(yaml.safe_dump(resolved.model_dump(mode="json"), sort_keys=False), end="")


def _about(name: str, paper: Paper, store: Store) -> list[Pairs]:
    """What is known of a table, else a network, else of each record whose id begins so."""
    from mogabench import recipes
    from mogabench.tables.about import about_network, about_record, about_table, find_record
    from mogabench.tasks import tasks
    from mogabench.variants import VARIANTS, variant_of

    if name.casefold() in map(str.casefold, paper.table_ids):
        return [about_table(paper.table(name), store)]
    if len(name) >= _SHORTEST_ID and set(name) <= set("0123456789abcdef"):
        return [about_record(record) for record in find_record(name, store)]
    network = VARIANTS.get(name, name)
    if network not in {item for task in tasks().values() for item in task.backbones()}:
        return []
    sizes = {network, variant_of(network)}
    own = [
        recipe
        for task in tasks().values()
        for recipe in recipes.names(task)
        if sizes & set(recipes.variants(recipe, task))
    ]
    return [about_network(network, paper, store, own)]
