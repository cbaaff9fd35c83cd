"""The recipes against the paper: every printed hyper-parameter and every printed accuracy."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import pytest

from mogabench import recipes
from mogabench.paper import get_paper
from mogabench.tasks import load_recipe
from mogabench.tasks.classification import TASK
from mogabench.tasks.classification.recipe import ClassificationRecipe
from mogabench.variants import variant_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from mogabench.paper import Row

OFF = "✗"


def number(cell: str) -> float:
    """``0.05``, ``224²``, ``1×10⁻³``, or 0 for a cross."""
    if cell == OFF:
        return 0.0
    cell = cell.removesuffix("²").translate(str.maketrans("⁻⁰¹²³⁴⁵⁶⁷⁸⁹", "-0123456789"))
    return float(re.sub(r"×10(.+)", r"e\1", cell))


def moganet_rows(*tables: str) -> list[Any]:
    rows = [(table, row) for table in tables for row in get_paper().table(table).rows]
    return [
        pytest.param(table, row, id=f"{table}-{row.index}-{row.label}")
        for table, row in rows
        if variant_of(row.meta.backbone)
    ]


def resolved(row: Row) -> ClassificationRecipe:
    """The recipe that a row names, at the row's size."""
    name, variant = row.meta.recipe, variant_of(row.meta.backbone)
    size = row.meta.input_size[0]
    recipe = load_recipe(name, variant=variant)
    assert isinstance(recipe, ClassificationRecipe)
    if recipe.input.test_size != size:
        sizes = [f"input.train_size={size}", f"input.test_size={size}"]
        recipe = load_recipe(name, variant=variant, overrides=sizes)
        assert isinstance(recipe, ClassificationRecipe)
    return recipe


CELLS: dict[str, Callable[[ClassificationRecipe], object]] = {
    "Input resolution": lambda recipe: recipe.input.train_size,
    "Input size": lambda recipe: recipe.input.train_size,
    "Epochs": lambda recipe: recipe.schedule.epochs,
    "Batch size": lambda recipe: recipe.batch_size,
    "Learning rate": lambda recipe: recipe.optimizer.lr,
    "Weight decay": lambda recipe: recipe.optimizer.weight_decay,
    "Warmup epochs": lambda recipe: recipe.schedule.warmup_epochs,
    "Label smoothing ϵ": lambda recipe: recipe.loss.label_smoothing,
    "Stochastic Depth": lambda recipe: recipe.model.drop_path,
    "Repeated Augment": lambda recipe: recipe.augment.repeated,
    "Mixup α": lambda recipe: recipe.augment.mixup,
    "CutMix α": lambda recipe: recipe.augment.cutmix,
    "Erasing prob.": lambda recipe: recipe.augment.erasing,
    "ColorJitter": lambda recipe: recipe.augment.color_jitter or 0,
    "Gradient Clipping": lambda recipe: recipe.optimizer.clip_grad or 0,
    "Test crop ratio": lambda recipe: recipe.input.crop_ratio,
}
"""The cells that hold a number, or a cross for 0."""

TEXTS: dict[str, Callable[[ClassificationRecipe], str]] = {
    "Optimizer": lambda recipe: {"adamw": "AdamW", "lamb": "LAMB"}[recipe.optimizer.name],
    "AdamW (β₁, β₂)": lambda recipe: "{}, {}".format(*recipe.optimizer.betas),
    "Learning rate decay": lambda recipe: recipe.schedule.policy.capitalize(),
    "Rand Augment": lambda recipe: recipe.augment.rand_augment or OFF,
    "3-Augment": lambda recipe: "✓" if recipe.augment.three_augment else OFF,
    "EMA decay": lambda recipe: "✓" if recipe.ema else OFF,
    "EMA": lambda recipe: "✓" if recipe.ema else OFF,
}
"""The cells that hold words or a mark."""

LABELS = {"Configuration", "Architecture", "Top-1 Acc (%)"}


@pytest.mark.parametrize(("table", "row"), moganet_rows("A2", "A3", "A7"))
def test_every_printed_hyper_parameter_is_the_recipes(table: str, row: Row) -> None:
    recipe = resolved(row)
    settings = row.cells.keys() - LABELS
    assert settings <= CELLS.keys() | TEXTS.keys()
    numbers = settings & CELLS.keys()
    assert {head: CELLS[head](recipe) for head in numbers} == {
        head: number(row.cells[head]) for head in numbers
    }
    texts = settings & TEXTS.keys()
    assert {head: TEXTS[head](recipe) for head in texts} == {
        head: row.cells[head] for head in texts
    }


def test_the_tables_hold_as_many_moganet_rows_as_printed() -> None:
    """So that the test above cannot pass for want of rows."""
    assert [len(moganet_rows(table)) for table in ("A2", "A3", "A7")] == [6, 8, 8]


def printed_accuracies() -> set[tuple[str, str | None, str, float]]:
    """Recipe, variant, table and top-1 in % of every accuracy at a recipe's own test size."""
    heads = {"2": "Top-1 Acc (%)", "3": "Top-1 Acc (%)", "A7": "Top-1 Acc (%)"}
    found = set()
    for table, head in [
        *heads.items(),
        ("A15", "300-epoch: Acc (%)"),
        ("A15", "100-epoch: Acc (%)"),
    ]:
        for row in get_paper().table(table).rows:
            variant = variant_of(row.meta.backbone)
            name = "rsb_a3_100e" if head.startswith("100") else row.meta.recipe
            if variant is None or not name:
                continue
            recipe = load_recipe(name, variant=variant)
            assert isinstance(recipe, ClassificationRecipe)
            if row.meta.input_size == recipe.size:
                found.add((name, variant, table, float(row.cells[head])))
    return found


def test_what_a_recipe_expects_is_what_the_paper_prints() -> None:
    every = [
        load_recipe(name, variant=variant)
        for name in recipes.names(TASK)
        for variant in recipes.variants(name, TASK)
    ]
    expected = {
        (recipe.name, recipe.variant, recipe.expected.table, recipe.expected.values["top1"])
        for recipe in every
        if recipe.expected
    }
    printed = printed_accuracies()
    assert expected <= printed
    without_table = {(name, variant, value) for name, variant, _, value in printed}
    assert {(name, variant, value) for name, variant, _, value in expected} == without_table
    assert len(without_table) == 6 + 2 + 2 + 5 + 1  # 300e, 300e_256, refined, RSB A3, fine-tuned


def test_what_the_text_says_but_no_table() -> None:
    ema = load_recipe("in1k_300e", variant="b").ema
    assert ema is not None
    assert (ema.decay_start, ema.decay) == (0.9, 0.9999)  # Appendix C.4
    fast = load_recipe("rsb_a3_100e", variant="s")
    assert isinstance(fast, ClassificationRecipe)
    assert (fast.input.train_size, fast.input.test_size) == (160, 224)  # Appendix D.1
    assert fast.optimizer.name == "lamb"
    assert fast.optimizer.lr in (6e-3, 8e-3)
