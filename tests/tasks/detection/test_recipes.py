"""The recipes against Tables A8 to A10 and the released configurations."""

import pytest

from mogabench import recipes
from mogabench.paper import get_paper
from mogabench.tasks import load_recipe
from mogabench.tasks.detection import TASK
from mogabench.variants import variant_of

HEADS = {
    "A8": {"box_ap": "RetinaNet 1×: AP"},
    "A9": {"box_ap": "Mask R-CNN 1×: AP^b", "mask_ap": "Mask R-CNN 1×: AP^m"},
    "A10": {
        "box_ap": "Cascade Mask R-CNN +MS 3×: AP^bb",
        "mask_ap": "Cascade Mask R-CNN +MS 3×: AP^m",
    },
}
ROWS = [
    pytest.param(table, row, id=f"{table}-{row.label}")
    for table in HEADS
    for row in get_paper().table(table).rows
    if variant_of(row.meta.backbone)
]


@pytest.mark.parametrize(("table", "row"), ROWS)
def test_a_recipe_expects_what_is_printed(table, row):
    recipe = load_recipe(row.meta.recipe, variant=variant_of(row.meta.backbone))
    printed = {name: float(row.cells[head]) for name, head in HEADS[table].items()}
    assert (recipe.expected.table, recipe.expected.values) == (table, printed)
    assert recipe.method == row.meta.method


DROP_PATH = {"xt": 0.05, "t": 0.1, "s": 0.1, "b": 0.2, "l": 0.3}


@pytest.mark.parametrize(
    ("name", "rates", "drop_paths", "schedule"),
    # detection/configs/moganet; Cascade's XL, of which there is none, as its L.
    [
        ("retinanet_1x", dict.fromkeys(DROP_PATH, 1e-4), DROP_PATH, (12, (8, 11), 500)),
        (
            "mask_rcnn_1x",
            {"xt": 2e-4, "t": 2e-4, "s": 2e-4, "b": 1e-4, "l": 1e-4},
            *(DROP_PATH, (12, (8, 11), 500)),
        ),
        (
            "mask_rcnn_ms3x",
            dict.fromkeys("tsbl", 2e-4),
            *({"t": 0.1, "s": 0.1, "b": 0.3, "l": 0.3}, (36, (27, 33), 500)),
        ),
        (
            "cascade_mask_rcnn_ms3x",
            {"s": 2e-4, "b": 1e-4, "l": 1e-4, "xl": 1e-4},
            *({"s": 0.1, "b": 0.2, "l": 0.3, "xl": 0.3}, (36, (27, 33), 1000)),
        ),
    ],
)
def test_detectors_train_as_released(name, rates, drop_paths, schedule):
    own = {size: load_recipe(name, variant=size) for size in recipes.variants(name, TASK)}
    assert {size: recipe.optimizer.lr for size, recipe in own.items()} == rates
    assert {size: recipe.model.drop_path for size, recipe in own.items()} == drop_paths
    for recipe in own.values():
        found, optimizer = recipe.schedule, recipe.optimizer
        assert (found.epochs, found.milestones, found.warmup_steps) == schedule
        assert found.warmup_lr == pytest.approx(optimizer.lr * 1e-3)
        assert (optimizer.name, optimizer.weight_decay) == ("adamw", 0.05)
        assert (recipe.batch_size, recipe.input.test_scale) == (16, (1333, 800))
