"""The recipes against Appendix A.6 and Table A12."""

import pytest

from mogabench.errors import UserError
from mogabench.paper import get_paper
from mogabench.tasks import load_recipe
from mogabench.variants import variant_of

HEADS = {
    "expose_hand_100e": ("pa_mpjpe", "Hand: PA-MPJPE (mm)↓"),
    "expose_face_100e": ("rmse_3d", "Face: 3DRMSE↓"),
}
ROWS = [row for row in get_paper().table("A12").rows if variant_of(row.meta.backbone)]


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.label)
@pytest.mark.parametrize("name", HEADS)
def test_a_recipe_expects_what_is_printed(name, row):
    metric, head = HEADS[name]
    recipe = load_recipe(name, variant=variant_of(row.meta.backbone))
    assert recipe.expected.table == "A12"
    assert recipe.expected.values == {metric: float(row.cells[head])}


@pytest.mark.parametrize(
    ("name", "method", "size"),
    [("expose_hand_100e", "expose_hand", 224), ("expose_face_100e", "expose_face", 256)],
)
def test_networks_train_as_appendix_a6_says(name, method, size):
    recipe = load_recipe(name)
    assert (recipe.method, recipe.size) == (method, (size, size))
    assert (recipe.schedule.epochs, recipe.schedule.milestones) == (100, (60, 100))
    assert (recipe.optimizer.name, recipe.batch_size) == ("adam", 256)
    assert recipe.optimizer.lr in (1e-4, 2e-4)


def test_hands_are_not_mirrored():
    with pytest.raises(UserError, match=r"augment\.flip is for faces only"):
        load_recipe("expose_hand_100e", overrides=["augment.flip=0.5"])


def test_a_picture_keeps_a_pixel_at_the_lowest_resolution():
    problem = r"\n  augment\.low_resolutions: 8 leaves no pixel of an input of 7$"
    with pytest.raises(UserError, match=problem):
        load_recipe("expose_face_100e", overrides=["input.size=[7, 7]"])
    load_recipe("expose_face_100e", overrides=["input.size=[8, 8]"])
