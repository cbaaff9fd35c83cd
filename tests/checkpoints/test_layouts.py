"""Files as users' programs write them: a network that reads one gives the other's outputs."""

import re
from collections import OrderedDict

import pytest
import timm
import torch
from mmengine.hooks import EMAHook
from mmengine.model import BaseModel
from mmengine.runner import Runner
from timm.layers import resample_abs_pos_embed
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

from mogabench.checkpoints import load_weights
from mogabench.errors import UserError


def network(name="test_convnext", seed=None, **options):
    """A network; with a seed, one whose tensors all differ from those of a fresh one."""
    model = timm.create_model(name, num_classes=options.pop("num_classes", 4), **options).eval()
    if seed is not None:
        torch.manual_seed(seed)
        for tensor in model.state_dict().values():
            if tensor.is_floating_point():
                tensor.copy_(torch.rand_like(tensor) / 10 + 0.01)
    return model


def load(model, payload, folder, **options):
    torch.save(payload, folder / "file.pth")
    return load_weights(model, folder / "file.pth", **options)


def assert_same_outputs(left, right, side=64):
    images = torch.randn(2, 3, side, side, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        outputs, expected = left.eval()(images), right.eval()(images)
    assert outputs.isfinite().all()
    assert torch.equal(outputs, expected)


class Trained(BaseModel):
    """As in a project of mmengine: the network is its ``backbone``."""

    def __init__(self):
        super().__init__()
        self.backbone = network("test_resnet", seed=1)

    def forward(self, images, labels, mode="loss"):
        return {"loss": nn.functional.cross_entropy(self.backbone(images), labels)}


@pytest.mark.parametrize("hooks", [[], [EMAHook(momentum=0.5)]], ids=["plain", "averaged"])
def test_what_mmengine_s_runner_saves(hooks, tmp_path):
    data = TensorDataset(torch.randn(8, 3, 64, 64), torch.randint(0, 4, (8,)))
    runner = Runner(
        Trained(),
        work_dir=str(tmp_path),
        train_dataloader=DataLoader(data, 4),
        train_cfg={"by_epoch": True, "max_epochs": 1},
        optim_wrapper={"optimizer": {"type": "SGD", "lr": 0.01}},
        custom_hooks=hooks,
        experiment_name=tmp_path.name,
        default_scope="mmengine",
        log_level="ERROR",
    )
    runner.train()
    trained, average = runner.model, (hooks[0].ema_model.module if hooks else runner.model)
    for prefer_ema, expected in ((True, average), (False, trained)):
        fresh = network("test_resnet")
        load_weights(fresh, tmp_path / "epoch_1.pth", prefer_ema=prefer_ema)
        assert_same_outputs(fresh, expected.backbone)


class _Holder(nn.Module):
    def __init__(self, name, model):
        super().__init__()
        self.add_module(name, model)


@pytest.mark.parametrize(
    "wrap",
    [
        lambda model: nn.DataParallel(torch.compile(model)),
        lambda model: torch.compile(nn.DataParallel(model)),
        lambda model: nn.DataParallel(_Holder("student", torch.compile(model))),
        lambda model: _Holder("model", _Holder("backbone", nn.DataParallel(model))),
        lambda model: _Holder("network", torch.compile(_Holder("net", model))),
    ],
    ids=["DDP of compiled", "compiled DDP", "student", "model.backbone.module", "network.net"],
)
@pytest.mark.parametrize("entry", ["model_state_dict", "net"])
def test_nested_wrappers(wrap, entry, tmp_path):
    trained, fresh = network(seed=1), network()
    payload = {"epoch": 3, entry: wrap(trained).state_dict(), "optimizer": {"state": {}}}
    report = load(fresh, payload, tmp_path)
    assert_same_outputs(fresh, trained)
    assert (report.entry, report.notes, report.ignored) == (entry, (), ())


def test_a_part_of_the_network_that_was_compiled(tmp_path):
    trained, fresh = network(seed=1), network()
    expected = network(seed=1)
    trained.stages[0] = torch.compile(trained.stages[0])
    load(fresh, trained.state_dict(), tmp_path)
    assert_same_outputs(fresh, expected)


def test_two_networks_in_one_file_are_not_told_apart_by_chance(tmp_path):
    student, teacher = network(seed=1), network(seed=2)
    both = {f"student.{name}": tensor for name, tensor in student.state_dict().items()}
    both |= {f"teacher.{name}": tensor for name, tensor in teacher.state_dict().items()}
    with pytest.raises(UserError, match=r"several networks that fit, under student\., teacher\.;"):
        load(network(), {"state_dict": both}, tmp_path)


def test_what_was_taken_of_several_is_said(tmp_path):
    trained, average, fresh = network(seed=1), network(seed=2), network()
    payload = {"model": trained.state_dict(), "ema": average.state_dict()}
    report = load(fresh, payload, tmp_path)
    assert report.notes == ("several sets of weights: loaded 'ema'",)
    assert_same_outputs(fresh, average)
    load(fresh, payload, tmp_path, prefer_ema=False)
    assert_same_outputs(fresh, trained)


def test_counters_of_thop_are_left_out(tmp_path):
    trained, fresh, expected = network(seed=1), network(), network(seed=1)
    counters = 0
    for module in trained.modules():  # as thop.profile does
        module.register_buffer("total_ops", torch.zeros(1, dtype=torch.float64))
        module.register_buffer("total_params", torch.zeros(1, dtype=torch.float64))
        counters += 2
    report = load(fresh, trained.state_dict(), tmp_path)
    assert report.notes == (f"{counters} counters of thop (total_ops, total_params) were left out",)
    assert_same_outputs(fresh, expected)


def test_files_without_the_counter_of_batches(tmp_path):
    trained, fresh = network("test_resnet", seed=1), network("test_resnet")
    weights = OrderedDict(
        (name, tensor)
        for name, tensor in trained.state_dict().items()
        if not name.endswith("num_batches_tracked")
    )
    assert len(weights) < len(trained.state_dict())
    load(fresh, weights, tmp_path)
    assert_same_outputs(fresh, trained)


def _facebook_names(model):
    """The names of facebookresearch/ConvNeXt."""
    rules = {
        r"^stem\.": "downsample_layers.0.",
        r"^stages\.(\d)\.downsample\.": r"downsample_layers.\1.",
        r"^stages\.(\d)\.blocks\.": r"stages.\1.",
        r"conv_dw": "dwconv",
        r"mlp\.fc": "pwconv",
        r"^head\.norm\.": "norm.",
        r"^head\.fc\.": "head.",
    }
    weights = model.state_dict()
    for pattern, name in rules.items():
        weights = {re.sub(pattern, name, key): tensor for key, tensor in weights.items()}
    return weights


@pytest.mark.parametrize("prefix", ["", "module.", "model.module."])
def test_names_that_timm_knows_to_translate(prefix, tmp_path):
    trained, fresh = network(seed=1), network()
    weights = {prefix + name: tensor for name, tensor in _facebook_names(trained).items()}
    assert f"{prefix}downsample_layers.1.0.weight" in weights
    load(fresh, {"model": weights}, tmp_path)
    assert_same_outputs(fresh, trained)


def test_released_names_give_the_features(tmp_path):
    trained = network(seed=1)
    features = timm.create_model("test_convnext", features_only=True).eval()
    load(features, _facebook_names(trained), tmp_path)
    images = torch.randn(1, 3, 64, 64)
    with torch.no_grad():
        expected = trained.forward_intermediates(images, norm=False, intermediates_only=True)
        assert all(map(torch.equal, features(images), expected[-len(features(images)) :]))


_SMALL_SWIN = {"depths": (1, 1, 1, 1), "embed_dim": 24, "num_heads": (1, 2, 2, 2)}


@pytest.mark.parametrize(
    ("name", "options", "larger"),
    [
        ("test_vit", {}, {"img_size": 320}),
        ("swin_tiny_patch4_window7_224", _SMALL_SWIN, {"img_size": 448, "window_size": 14}),
        pytest.param("mvitv2_tiny", {}, {"img_size": 384}, marks=pytest.mark.slow),
        ("tnt_s_patch16_224", {"depth": 1}, {"img_size": 384}),
        ("efficientvit_m0", {"depth": (1, 1, 1)}, {"img_size": 384}),
    ],
)
def test_a_larger_image_size_is_what_timm_makes_of_it(name, options, larger, tmp_path):
    trained, fresh = network(name, seed=1, **options), network(name, **options, **larger)
    report = load(fresh, trained.state_dict(), tmp_path)
    by_timm = network(
        name,
        pretrained=True,
        pretrained_cfg_overlay={"file": str(tmp_path / "file.pth"), "num_classes": 4},
        **options,
        **larger,
    )
    assert_same_outputs(fresh, by_timm, larger["img_size"])
    assert re.match(r"(\d+ )?position embeddings were resampled .*to this image", report.notes[0])
    assert load(network(name, **options), trained.state_dict(), tmp_path).notes == ()


def test_focal_s_file_for_224_pixels_begins_a_detector(tmp_path):
    options = {"dim": 32, "depths": (1, 1, 1, 1)}
    trained = network("focal_tiny", seed=1, **options)
    # As released, with the indices, which the detector has for more windows.
    computed = {n: x for n, x in trained.named_buffers() if n.endswith(("index_0", "rolled"))}
    larger = {"focal_windows": (15, 13, 9, 7), "reaches": (3, 3, 3, 3)}
    fresh = network("focal_tiny", features_only=True, **options, **larger)
    report = load(fresh, trained.state_dict() | computed, tmp_path)
    # Of 8 heads, and a window's 49 tokens with the 4 x (49 - 16) around it.
    new = fresh.get_parameter("blocks4.0.attn.relative_position_bias_table_to_neighbors")
    assert new.shape == (1, 8, 49, 132)
    assert report.notes[1].startswith("1 position tables for what is around a window, which the")
    for stage in (1, 2, 3, 4):
        attentions = [x.get_submodule(f"blocks{stage}.0.attn") for x in (fresh, trained)]
        wide, narrow = (
            x.relative_position_bias_table_to_windows[:, x.relative_position_index_0].unflatten(
                2, 2 * [x.focal_window]
            )
            for x in attentions
        )
        margin = (wide.shape[-1] - narrow.shape[-1]) // 2
        assert torch.equal(wide[..., margin:-margin, margin:-margin], narrow)


def test_tables_of_distances_keep_what_is_linear(tmp_path):
    options = {"depth": (1, 1, 1), "embed_dim": (16, 16, 16), "num_heads": (1, 2, 2), "key_dim": 8}
    trained, fresh = (network("levit_128s", img_size=s, **options) for s in (224, 448))
    name = "stages.0.blocks.0.attn.attention_biases"
    rows, columns = torch.meshgrid(*2 * [torch.arange(14.0)], indexing="ij")
    weights = trained.state_dict() | {name: (3 * rows + columns).view(1, -1)}
    report = load(fresh, weights, tmp_path)
    found = fresh.state_dict()[name].view(28, 28)
    # A distance on the larger map is half of it on the smaller one, away from the borders.
    steps = found[4:-4, 4:-4].diff(dim=0), found[4:-4, 4:-4].diff(dim=1)
    for step, slope in zip(steps, (1.5, 0.5), strict=True):
        torch.testing.assert_close(step, torch.full_like(step, slope), rtol=0, atol=0.02)
    assert re.match(r"position embeddings were resampled", report.notes[0])


def test_each_branch_of_crossvit_is_resampled(tmp_path):
    options = {"depth": ((1, 1, 0),), "embed_dim": (16, 32), "num_heads": (2, 2)}
    trained, fresh = (network("crossvit_tiny_240", img_size=s, **options) for s in (240, 480))
    load(fresh, trained.state_dict(), tmp_path)
    for branch, side in enumerate((20, 14)):
        name = f"pos_embed_{branch}"
        old, new = trained.state_dict()[name], fresh.state_dict()[name]
        torch.testing.assert_close(new[:, 0], old[:, 0])
        expected = resample_abs_pos_embed(old, [2 * side, 2 * side], num_prefix_tokens=1)
        torch.testing.assert_close(new, expected)


def test_an_embedding_of_blocks_is_refused(tmp_path):
    # NesT's tokens are listed by blocks: no grid can be resized as it lies in the file.
    trained, fresh = (network("nest_tiny", img_size=s) for s in (224, 384))
    with pytest.raises(UserError, match=r"3 of another shape \(levels.0.pos_embed is 1x16x196x96"):
        load(fresh, trained.state_dict(), tmp_path)


def test_an_embedding_of_an_unknown_grid_is_refused(tmp_path):
    wide = network("test_vit", img_size=(160, 96)).state_dict()
    with pytest.raises(UserError, match=r"1 of another shape \(pos_embed is 1x61x64 and should"):
        load(network("test_vit"), wide, tmp_path)


def test_another_patch_size_is_not_resampled(tmp_path):
    with pytest.raises(UserError, match=r"patch_embed.proj.weight is 64x3x16x16 and should be"):
        load(network("test_vit", patch_size=8), network("test_vit").state_dict(), tmp_path)


@pytest.mark.slow
def test_an_error_is_short_however_many_keys(tmp_path):
    weights = {f"{'very_long.' * 30}{n}.weight": torch.ones(1) for n in range(5000)}
    with pytest.raises(UserError, match=r"; 5000 unexpected \(") as caught:
        load(network(), weights, tmp_path)
    text = str(caught.value)
    assert "\n" not in text
    assert len(text) < 10 * 160
