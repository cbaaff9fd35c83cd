"""The recipes against Appendix A.5 and Table A13."""

import pytest

from mogabench import recipes
from mogabench.paper import get_paper
from mogabench.tasks import load_recipe
from mogabench.tasks.pose import TASK
from mogabench.variants import variant_of

METRICS = {
    "pose_ap": "AP (%)",
    "pose_ap50": "AP^50 (%)",
    "pose_ap75": "AP^75 (%)",
    "pose_ar": "AR (%)",
}
ROWS = [row for row in get_paper().table("A13").rows if variant_of(row.meta.backbone)]


@pytest.mark.parametrize("row", ROWS, ids=lambda row: f"{row.label}-{row.meta.input_size[0]}")
def test_a_recipe_expects_what_is_printed(row):
    recipe = load_recipe(row.meta.recipe, variant=variant_of(row.meta.backbone))
    assert recipe.expected.table == "A13"
    printed = {name: float(row.cells[head]) for name, head in METRICS.items()}
    assert recipe.expected.values == printed
    assert recipe.size == row.meta.input_size
    assert recipe.optimizer.lr == 1e-3


@pytest.mark.parametrize("name", ["simple_baseline_256x192", "simple_baseline_384x288"])
def test_all_backbones_train_as_appendix_a5_says(name):
    for variant in [None, *recipes.variants(name, TASK)]:
        recipe = load_recipe(name, variant=variant)
        assert (recipe.schedule.epochs, recipe.schedule.milestones) == (210, (170, 200))
        assert recipe.optimizer.name.startswith("adam")
        # All released configurations: TopDownGenerateTarget, sigma=2; AdamW decays biases.
        assert (recipe.targets.sigma, recipe.targets.encoding) == (2.0, "rounded")
        assert recipe.optimizer.decay_biases == (recipe.optimizer.name == "adamw")
        if not (variant or "").startswith("uniformer"):
            assert recipe.optimizer.lr in (1e-3, 5e-4)


@pytest.mark.parametrize(
    ("size", "name", "batch", "lr", "drop_path"),
    # pose_estimation/configs/…/uniformer_{s,b}_coco_{256x192,384x288}.py
    [
        ("256x192", "uniformer_small", 1024, 2e-3, 0.2),
        ("256x192", "uniformer_base", 1024, 2e-3, 0.4),
        ("384x288", "uniformer_small", 1024, 2e-3, 0.2),
        ("384x288", "uniformer_base", 256, 5e-4, 0.5),
    ],
)
def test_uniformer_trains_as_its_released_configurations_say(size, name, batch, lr, drop_path):
    recipe = load_recipe(f"simple_baseline_{size}", variant=name)
    optimizer = recipe.optimizer
    assert (optimizer.name, optimizer.lr, optimizer.weight_decay) == ("adamw", lr, 0.01)
    assert (recipe.batch_size, recipe.model.drop_path) == (batch, drop_path)


def test_the_size_can_be_chosen():
    recipe = load_recipe("simple_baseline_256x192").at_size((384, 288))
    assert recipe.size == recipe.input.size == (384, 288)
    assert recipe.at_size((128, 96)).input.size == (128, 96)
