"""The recipes against the paper's tables and Appendix A.4."""

import pytest

from mogabench import recipes
from mogabench.errors import UserError
from mogabench.paper import get_paper
from mogabench.tasks import load_recipe
from mogabench.tasks.segmentation import TASK
from mogabench.variants import variant_of

ROWS = [
    (table, row)
    for table in ("5", "A11")
    for row in get_paper().table(table).rows
    if variant_of(row.meta.backbone)
]


@pytest.mark.parametrize(
    ("table", "row"), [pytest.param(*found, id=f"{found[0]}-{found[1].label}") for found in ROWS]
)
def test_a_recipe_expects_and_does_what_its_row_prints(table, row):
    recipe = load_recipe(row.meta.recipe, variant=variant_of(row.meta.backbone))
    assert recipe.expected.values == {"miou": float(row.cells["mIoU^ss (%)"])}
    assert recipe.method == row.meta.method
    crop = int(row.cells["Crop size"].removesuffix("²"))
    assert recipe.input.crop == recipe.input.short_side == crop
    assert recipe.size == row.meta.input_size
    method = row.cells.get("Method", "UperNet (160K)")
    assert f"({recipe.schedule.steps // 1000}K)" in method


@pytest.mark.parametrize(
    ("name", "lr", "weight_decay", "power", "warmup"),
    # Appendix A.4; decay and power of Semantic FPN as in segmentation/configs.
    [
        ("semantic_fpn_80k", 2e-4, 1e-4, 0.9, 0),
        ("upernet_160k", 6e-5, 0.01, 1.0, 1500),
        ("upernet_160k_640", 6e-5, 0.01, 1.0, 1500),
    ],
)
def test_segmentors_train_as_printed_and_released(name, lr, weight_decay, power, warmup):
    drop_paths = {"xt": 0.05, "t": 0.1, "s": 0.1, "b": 0.2, "l": 0.3, "xl": 0.4}
    for size in recipes.variants(name, TASK):
        recipe = load_recipe(name, variant=size)
        assert recipe.model.drop_path == drop_paths[size]
        assert (recipe.optimizer.name, recipe.optimizer.lr) == ("adamw", lr)
        assert (recipe.optimizer.weight_decay, recipe.batch_size) == (weight_decay, 16)
        assert (recipe.schedule.power, recipe.schedule.warmup_steps) == (power, warmup)
        assert (recipe.augment.scale, recipe.augment.largest_class) == ((0.5, 2.0), 0.75)


def test_size_sets_both_sides():
    larger = load_recipe("upernet_160k").at_size((640, 2560))
    assert (larger.input.short_side, larger.input.crop) == (640, 640)


def test_scales_go_from_small_to_large():
    with pytest.raises(UserError, match="should have the smaller factor first"):
        load_recipe("upernet_160k", overrides=["augment.scale=[2.0, 0.5]"])
