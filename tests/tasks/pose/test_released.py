"""Files named as MogaNet's pose repository names its ConvNeXt and UniFormer."""

import pytest
import torch

from mogabench.checkpoints import load_into
from mogabench.errors import UserError
from mogabench.subject import Subject
from mogabench.tasks.pose.network import build_network

HEAD = ("keypoint_head.deconv_layers.", "keypoint_head.final_layer.")


def subject(backbone):
    return Subject(task="pose", method="simple_baseline", backbone=backbone, input_size=(256, 192))


def filled(shapes):
    """Tensors of these shapes, each of another value."""
    return {name: torch.full(shape, 1.0 + n) for n, (name, shape) in enumerate(shapes.items())}


def head_of(network):
    state = network.state_dict()
    return {name: tensor.shape for name, tensor in state.items() if name.startswith(HEAD)}


def convnext_tiny():
    """The names and shapes of mmpose_custom/models/backbones/convnext.py, size tiny."""
    shapes, dims = {}, (96, 192, 384, 768)

    def layer(name, *weight):
        shapes[f"backbone.{name}.weight"] = weight
        shapes[f"backbone.{name}.bias"] = weight[:1]

    layer("downsample_layers.0.0", 96, 3, 4, 4)
    layer("downsample_layers.0.1", 96)
    for level, (dim, depth) in enumerate(zip(dims, (3, 3, 9, 3), strict=True)):
        if level:
            layer(f"downsample_layers.{level}.0", dims[level - 1])
            layer(f"downsample_layers.{level}.1", dim, dims[level - 1], 2, 2)
        for block in range(depth):
            prefix = f"stages.{level}.{block}"
            shapes[f"backbone.{prefix}.gamma"] = (dim,)
            layer(f"{prefix}.depthwise_conv", dim, 1, 7, 7)
            layer(f"{prefix}.norm", dim)
            layer(f"{prefix}.pointwise_conv1", 4 * dim, dim)
            layer(f"{prefix}.pointwise_conv2", dim, 4 * dim)
        layer(f"norm{level}", dim)
    return shapes


def test_convnext_loads_with_its_last_norm(tmp_path):
    network = build_network(subject("convnext_tiny"))
    weights = filled(convnext_tiny() | head_of(network))
    torch.save({"state_dict": weights}, tmp_path / "released.pth")
    load_into(network, tmp_path / "released.pth", subject("convnext_tiny"), backbone="backbone")
    state = network.state_dict()
    for ours, theirs in (
        ("norm.weight", "backbone.norm3.weight"),
        ("backbone.stem_1.bias", "backbone.downsample_layers.0.1.bias"),
        ("backbone.stages_2.downsample.1.weight", "backbone.downsample_layers.2.1.weight"),
        ("backbone.stages_2.blocks.8.conv_dw.bias", "backbone.stages.2.8.depthwise_conv.bias"),
        ("backbone.stages_0.blocks.2.mlp.fc2.weight", "backbone.stages.0.2.pointwise_conv2.weight"),
        ("backbone.stages_3.blocks.0.gamma", "backbone.stages.3.0.gamma"),
    ):
        assert torch.equal(state[ours], weights[theirs]), ours
    assert round(sum(p.numel() for p in network.parameters()) / 1e6, 1) == 33.1  # Table 6


def test_uniformer_loads_with_its_last_norm_and_no_other(tmp_path):
    network = build_network(subject("uniformer_small"))
    shapes = {name: tensor.shape for name, tensor in network.state_dict().items()}
    del shapes["norm.weight"], shapes["norm.bias"]
    norms = zip((1, 2, 3, 4), (64, 128, 320, 512), strict=True)
    for number, dim in norms:
        for kind in ("weight", "bias"):
            shapes[f"backbone.norm{number}.{kind}"] = (dim,)
    weights = filled(shapes)
    torch.save({"state_dict": weights}, tmp_path / "released.pth")
    load_into(network, tmp_path / "released.pth", subject("uniformer_small"), backbone="backbone")
    assert torch.equal(network.state_dict()["norm.bias"], weights["backbone.norm4.bias"])
    del weights["backbone.norm4.bias"]
    torch.save({"state_dict": weights}, tmp_path / "cut.pth")
    with pytest.raises(UserError, match=r"norm\.bias"):
        load_into(network, tmp_path / "cut.pth", subject("uniformer_small"), backbone="backbone")
