"""Writes what released networks compute, for test_families_parity.py to compare ours with.

    python tests/models/make_families_reference.py --repos FOLDER

FOLDER holds clones (or bare git directories) by name: PVT and CMT.pytorch, for example; ORIGINS
has them all. The result is families_reference.npz beside this file: for each network the names
and shapes of its tensors, and for each case its logits or a sketch of its pyramid. Run it again
only if the cases below change. As for MogaNet, made-up weights take the place of trained ones,
and the released networks run in float64.
"""

from __future__ import annotations

import argparse
import math
import re
import runpy
import subprocess
import sys
from functools import partial
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

import numpy as np
import timm.layers
import torch
import torchvision
from torch import Tensor, nn

if TYPE_CHECKING:
    from collections.abc import Callable

REFERENCE = Path(__file__).with_name("families_reference.npz")
MOGANET = runpy.run_path(str(Path(__file__).with_name("make_moganet_reference.py")))
noise, sketch = MOGANET["noise"], MOGANET["sketch"]
MORE = runpy.run_path(str(Path(__file__).with_name("more_released_families.py")))
OURS = MORE["OURS"]

ORIGINS = {
    "PVT": "whai362/PVT",
    "UniFormer": "Sense-X/UniFormer",
    "VAN-Classification": "Visual-Attention-Network/VAN-Classification",
    "CMT.pytorch": "ggjy/CMT.pytorch",
    "Focal-Transformer": "microsoft/Focal-Transformer",
    "LITv2": "ziplab/LITv2",
    "CSWin-Transformer": "microsoft/CSWin-Transformer",
    **MORE["ORIGINS"],
}

SIZES = {
    "pvt_tiny": (160, 192),
    "uniformer_small": (224, 224),
    "van_b0": (150, 202),
    "cmt_small": (224, 224),
    "focal_tiny": (224, 224),
    "litv2_small": (224, 224),
    "cswin_tiny": (224, 224),
    **MORE["SIZES"],
}
"""The classifiers, and the images they get: any size where the released network takes any."""

DENSE_SIZES = {
    "pvt_tiny": (150, 202),
    "uniformer_small_h14": (250, 330),
    "litv2_small": (150, 202),
    "cswin_tiny": (150, 202),
    **MORE["DENSE_SIZES"],
}
"""The networks whose form for dense tasks is released; no side is a multiple of 32."""

FACTORS = {
    "^(pos_embed|relative_pos|cls_token)|bias_table": 1,
    "layer_scale": 1 / 4,
    "rpb": 4,
    "(bias|running_mean)$": 1 / 5,
}
"""Of made-up weights, by the first pattern that their names have."""


def images(size: tuple[int, int]) -> Tensor:
    """One image (1, 3, H, W)."""
    return 2 * noise("images", 1, 3, *size)


def made_up(name: str, shape: tuple[int, ...]) -> Tensor:
    """A value for a tensor of a released network, under which signals keep their size."""
    values: Tensor = noise(name, *shape)
    if name.endswith("running_var"):
        return 1 + values / 2
    for pattern, factor in FACTORS.items():
        if re.search(pattern, name):
            return factor * values
    if len(shape) == 1:
        return 1 + values / 3
    if shape[1:] == (1, 1, 1):  # OverLoCK's scales, between layers that enlarge the signal
        return (1 + values / 3) / 2
    return values * math.sqrt(3 / math.prod(shape[1:]))


class Anything:
    """Stands in for registries and loggers: as a decorator it changes nothing."""

    def __call__(self, given: Any = None, *_: Any, **__: Any) -> Any:
        return given

    def register_module(self, *_: Any, **__: Any) -> Any:
        return self


class StandIn(ModuleType):
    """A module from which anything can be imported."""

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        return Anything()


class Rearrange(nn.Module):
    """einops's layer, for the one pattern that CSWin has: map to tokens."""

    def __init__(self, pattern: str, **_: int) -> None:
        super().__init__()

    def forward(self, x: Tensor) -> Tensor:
        return x.flatten(2).transpose(1, 2)


class DeformConv2dPack(torchvision.ops.DeformConv2d):
    """LITv2's compiled layer, by torchvision."""

    def __init__(self, in_channels: int, out_channels: int, **options: int) -> None:
        super().__init__(in_channels, out_channels, **options)
        self.conv_offset = nn.Conv2d(in_channels, 8, **options)

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x, self.conv_offset(x))


def install_stand_ins() -> None:
    """Puts in place what the released files import beside torch."""
    packages = """timm.models.registry timm.models.helpers mmcv mmcv.runner mmcv_custom mmseg
        mmdet.models mmdet.models.builder mmdet.utils mmdet.registry mmdet mmseg.utils
        einops einops.layers einops.layers.torch mm_modules mm_modules.DCN mm_modules.DCN.modules
        mm_modules.DCN.modules.deform_conv2d models released released.builder released.backbones
        """
    for name in (packages + MORE["STAND_INS"]).split():
        sys.modules[name] = StandIn(name)
    sys.modules["timm.models.layers"] = timm.layers
    sys.modules["timm.models.vision_transformer"]._cfg = Anything()
    sys.modules["einops.layers.torch"].Rearrange = Rearrange
    sys.modules["mm_modules.DCN.modules.deform_conv2d"].DeformConv2dPack = DeformConv2dPack
    MORE["fill_stand_ins"]()


def released(repos: Path, repo: str, path: str, name: str = "released.backbones.file") -> Any:
    """Runs one file of a clone as a module."""
    source = subprocess.check_output(["git", "-C", repos / repo, "show", f"HEAD:{path}"], text=True)
    module = sys.modules[name] = ModuleType(name)
    module.__package__ = name.rpartition(".")[0]
    exec(compile(source, path, "exec"), module.__dict__)
    return module


def litv2_classifier(repos: Path) -> Any:
    for name in ("attentions", "blocks", "layers", "patch_embed", "litv2"):
        module = released(repos, "LITv2", f"classification/models/{name}.py", f"models.{name}")
    return module


SWIN_TINY = {"embed_dim": 96, "depths": [2, 2, 6, 2], "num_heads": [3, 6, 12, 24]}
LIT = {**SWIN_TINY, "alpha": 0.9, "local_ws": [0, 0, 2, 1]}
FOCAL = {
    **SWIN_TINY,
    "focal_levels": [2, 2, 2, 2],
    "focal_windows": [7, 5, 3, 1],
    "expand_sizes": [3, 3, 3, 3],
}
CSWIN = {
    "embed_dim": 64,
    "depth": [1, 2, 21, 1],
    "num_heads": [2, 4, 8, 16],
    "split_size": [1, 2, 7, 7],
}


def classifiers(repos: Path) -> dict[str, Callable[[], nn.Module]]:
    file = partial(released, repos)
    return {
        "pvt_tiny": lambda: file("PVT", "classification/pvt.py").pvt_tiny(),
        "uniformer_small": lambda: file(
            "UniFormer", "image_classification/models/uniformer.py"
        ).uniformer_small(),
        "van_b0": lambda: file("VAN-Classification", "models/van.py").van_b0(),
        "cmt_small": lambda: file("CMT.pytorch", "cmt.py").cmt_s(),
        "focal_tiny": lambda: file(
            "Focal-Transformer", "classification/focal_transformer.py"
        ).FocalTransformer(**FOCAL),
        "litv2_small": lambda: litv2_classifier(repos).LITv2(**LIT),
        "cswin_tiny": lambda: file(
            "CSWin-Transformer", "models/cswin.py"
        ).CSWin_64_12211_tiny_224(),
        **MORE["classifiers"](repos, released),
    }


def dense_networks(repos: Path) -> dict[str, Callable[[], nn.Module]]:
    """The forms for dense tasks, without the norms of the outputs that these add."""
    file = partial(released, repos)
    return {
        "pvt_tiny": lambda: file("PVT", "detection/pvt.py").pvt_tiny(pretrained=None),
        "uniformer_small_h14": lambda: without_norms(
            file("UniFormer", "object_detection/mmdet/models/backbones/uniformer.py").UniFormer(
                hybrid=True, window_size=14
            ),
            ("norm1", "norm2", "norm3", "norm4"),
        ),
        "litv2_small": lambda: without_norms(
            file("LITv2", "detection/mmdet/models/backbones/litv2.py").LITv2(**LIT),
            ("norm1", "norm2", "norm3"),
        ),
        "cswin_tiny": lambda: without_norms(
            file("CSWin-Transformer", "segmentation/backbone/cswin_transformer.py").CSWin(**CSWIN),
            ("norm1", "norm2", "norm3", "norm4"),
        ),
        **MORE["dense_networks"](repos, released),
    }


def without_norms(network: nn.Module, names: tuple[str, ...]) -> nn.Module:
    for name in names:
        setattr(network, name, nn.Identity())
    return network


def evaluate(network: nn.Module, size: tuple[int, int]) -> Any:
    """What a network gives for the image with the made-up weights, in float64."""
    for name, tensor in network.state_dict().items():
        if tensor.is_floating_point():
            tensor.copy_(made_up(name, tuple(tensor.shape)))
    # LITv2's own train() returns None, so that eval() cannot be chained.
    nn.Module.train(network, mode=False)
    network.double()
    torch.manual_seed(0)  # SReT draws groups of tokens by chance
    return network(images(size).double())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--repos", required=True, type=Path, help="folder of clones")
    repos = parser.parse_args().repos
    install_stand_ins()
    arrays: dict[str, np.ndarray] = {
        f"commit/{repo}": np.array(
            subprocess.check_output(["git", "-C", repos / repo, "rev-parse", "HEAD"], text=True)
        )
        for repo in ORIGINS
    }
    with torch.inference_mode():
        for case, build in classifiers(repos).items():
            network = build()
            state = network.state_dict()
            arrays[f"{case}/names"] = np.array(list(state))
            arrays[f"{case}/shapes"] = np.array(
                ["x".join(map(str, tensor.shape)) for tensor in state.values()]
            )
            arrays[f"{case}/learned"] = np.array([x.is_floating_point() for x in state.values()])
            arrays[f"{case}/parameters"] = np.array(sum(p.numel() for p in network.parameters()))
            arrays[f"{case}/logits"] = evaluate(network, SIZES[case]).numpy()
        for case, build in dense_networks(repos).items():
            for number, feature_map in enumerate(evaluate(build(), DENSE_SIZES[case]), 1):
                arrays[f"{case}/map{number}"] = sketch(feature_map, number).numpy()
                arrays[f"{case}/shape{number}"] = np.array(feature_map.shape)
    np.savez_compressed(REFERENCE, **arrays)


if __name__ == "__main__":
    main()
