"""``mogabench show``: a recipe, as it is written and as it resolves."""

from __future__ import annotations

from typing import Annotated

import typer

from mogabench.cli.options import VariantOption


def show(
    recipe: Annotated[str, typer.Argument(help="A recipe's name, or the path of your own YAML.")],
    variant: VariantOption = None,
    overrides: Annotated[
        list[str] | None, typer.Option("--set", metavar="KEY=VALUE", help="Override a field.")
    ] = None,
) -> None:
    """Print a recipe's file; with --variant or --set, the values it resolves to."""
    from mogabench import recipes
    from mogabench.tasks import load_recipe, recipe_task
    from mogabench.variants import backbone_of, variant_of

    if variant is None and not overrides:
        load_recipe(recipe)
        print(recipes.source(recipe, recipe_task(recipe)), end="")
        return
    import yaml

    short = None if variant is None else variant_of(backbone_of(variant))
    resolved = load_recipe(recipe, variant=short, overrides=overrides or ())
    print(yaml.safe_dump(resolved.model_dump(mode="json"), sort_keys=False), end="")
