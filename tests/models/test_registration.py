"""What register_family tells timm, with a family that is made up here."""

import pytest
import timm
import torch
from timm.models.convnext import ConvNeXt

from mogabench.errors import UserError
from mogabench.layers.registration import register_family
from mogabench.layers.released import renaming
from mogabench.models import moganet  # noqa: F401  (registers it with timm)

MAPS = {"out_indices": (1, 3), "flatten_sequential": True}


def register(sizes, **cfg):
    register_family(
        __name__,
        ConvNeXt,
        sizes,
        features=MAPS,
        checkpoint_filter_fn=renaming({r"^released_": ""}),
        first_conv="stem.0",
        classifier="head.fc",
        **cfg,
    )


register({"madeup_narrow": {"depths": (1, 1, 1, 1), "dims": (8, 16, 24, 32)}}, crop_pct=0.5)
register({"madeup_wide": {"depths": (1, 1, 1, 1), "dims": (8, 16, 32, 48)}}, input_size=(3, 96, 96))


def test_each_call_has_its_own_models_and_values():
    assert timm.list_models(module=__name__.rpartition(".")[2]) == ["madeup_narrow", "madeup_wide"]
    narrow, wide = (timm.get_pretrained_cfg(f"madeup_{size}") for size in ("narrow", "wide"))
    assert (narrow.architecture, narrow.tag, narrow.classifier) == (
        "madeup_narrow",
        "untrained",
        "head.fc",
    )
    assert (narrow.crop_pct, narrow.input_size) == (0.5, (3, 224, 224))
    assert (wide.crop_pct, wide.input_size) == (0.875, (3, 96, 96))
    assert timm.create_model("madeup_narrow").num_features == 32
    assert timm.create_model("madeup_wide").num_features == 48


def test_whoever_creates_a_model_may_change_its_arguments():
    model = timm.create_model("madeup_narrow", depths=(1, 3, 1, 1), num_classes=5)
    assert [len(stage.blocks) for stage in model.stages] == [1, 3, 1, 1]
    assert model.head.fc.out_features == 5


def test_feature_maps_are_the_same_every_time():
    for _ in range(2):
        pyramid = timm.create_model("madeup_narrow", features_only=True)
        assert pyramid.feature_info.channels() == [16, 32]
    pyramid = timm.create_model("madeup_narrow", features_only=True, out_indices=(0,))
    assert pyramid.feature_info.channels() == [8]
    assert timm.create_model("madeup_wide", features_only=True).feature_info.channels() == [16, 48]


def test_released_weights_are_translated(tmp_path):
    theirs = timm.create_model("madeup_narrow")
    released = {f"released_{name}": tensor for name, tensor in theirs.state_dict().items()}
    torch.save(released, tmp_path / "released.pth")
    ours = timm.create_model(
        "madeup_narrow",
        pretrained=True,
        pretrained_cfg_overlay={"file": str(tmp_path / "released.pth")},
    )
    torch.testing.assert_close(dict(ours.state_dict()), dict(theirs.state_dict()))


def test_pretrained_says_where_the_released_weights_are():
    with pytest.raises(UserError, match=r"no weights of madeup_narrow: 'mogabench list weights'"):
        timm.create_model("madeup_narrow", pretrained=True)


@pytest.mark.filterwarnings("ignore:.torch.jit.script. is deprecated")
def test_scripting_is_refused():
    network = timm.create_model("moganet_xtiny")
    with pytest.raises(UserError, match=r"^MogaNet cannot go through torch.jit.script, which"):
        torch.jit.script(network)
