"""How more released networks are built, for make_families_reference.py."""

from __future__ import annotations

import io
import subprocess
import sys
import tarfile
import tempfile
from functools import partial
from importlib import import_module
from types import ModuleType, SimpleNamespace
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

ORIGINS = {
    "HorNet": "raoyongming/HorNet",
    "SLaK": "VITA-Group/SLaK",
    "RepLKNet-pytorch": "DingXiaoH/RepLKNet-pytorch",
    "FAN": "NVlabs/FAN",
    "T2T-ViT": "yitu-opensource/T2T-ViT",
    "SReT": "szq0214/SReT",
    "ParC-Net": "hkzhang91/ParC-Net",
    "MobileFormer": "AAboys/MobileFormer",
    "Conformer": "pengzhiliang/Conformer",
    "mmpose": "open-mmlab/mmpose",
    "RSN": "caiyuanhao1998/RSN",
    "UniRepLKNet": "AILab-CVC/UniRepLKNet",
    "OverLoCK": "LMMMEng/OverLoCK",
}

SIZES = {
    "hornet_tiny": (150, 202),
    "hornet_tiny_gf": (160, 96),
    "slak_tiny": (90, 122),
    "replknet_31b_shallow": (90, 122),
    "fan_base_hybrid": (96, 160),
    "t2t_vit_7": (224, 224),
    "sret_tiny": (224, 224),
    "parcnet_small": (160, 160),
    "mobileformer_294m": (150, 202),
    "conformer_small_patch32": (96, 160),
    "hrformer_base": (96, 160),
    "rsn_18": (96, 64),
    "unireplknet_t_shallow": (90, 122),
    "overlock_xt": (250, 330),
}

DENSE_SIZES = {"overlock_xt": (96, 160)}  # maps smaller than the kernels

OURS: dict[str, tuple[str, dict[str, Any]]] = {
    "hornet_tiny_gf": ("hornet_tiny", {"filter_sides": (14, 7)}),
    "replknet_31b_shallow": ("replknet_31b", {"depths": (1, 1, 2, 1)}),
    "hrformer_base": ("hrformer_base", {"num_classes": 0}),
    "unireplknet_t_shallow": ("unireplknet_t", {"depths": (1, 1, 3, 1)}),
}
"""timm's name and options where they are not the case's name alone.

The released HRFormer for poses has no classifier; its map is pooled.
"""

STAND_INS = """depthwise_conv2d_implicit_gemm timm.models.fx_features lib lib.utils lib.utils.loss
    fan fan.convnext_utils fan.swin_utils mobile mobile.helpers mobile.registry mobile.layers
    natten natten.functional mmengine mmengine.runner"""


class DepthWiseConv(nn.Conv2d):
    """SLaK's compiled layer, by PyTorch."""

    def __init__(self, dim: int, kernel_size: Any, bias: bool) -> None:
        super().__init__(dim, dim, kernel_size, padding="same", groups=dim, bias=bias)


REARRANGED: dict[str, Callable[..., Tensor]] = {
    "b c h w -> b h w c": lambda x: x.permute(0, 2, 3, 1),
    "b h w c -> b c h w": lambda x: x.permute(0, 3, 1, 2),
    "b g n l -> b l g n": lambda x: x.permute(0, 3, 1, 2),
    "b (g c) h w -> b g c (h w)": lambda x, g: x.flatten(2).unflatten(1, (g, -1)),
    "b l g (h w) -> b g h w l": lambda x, h, w: x.unflatten(3, (h, w)).permute(0, 2, 3, 4, 1),
    "b (m g c) h w -> m b g h w c": lambda x, m, g: x.unflatten(1, (m, g, -1)).permute(
        1, 0, 2, 4, 5, 3
    ),
    "b g h w c -> b (g c) h w": lambda x, **_: x.permute(0, 1, 4, 2, 3).flatten(1, 2),
}
"""OverLoCK's patterns of einops."""


def rearrange(x: Tensor, pattern: str, **sizes: int) -> Tensor:
    """einops's function, for OverLoCK's patterns and the two that SReT has."""
    if pattern in REARRANGED:
        return REARRANGED[pattern](x, **sizes)
    if sizes:
        return x.transpose(1, 2).unflatten(2, (sizes["h"], sizes["w"]))
    return x.flatten(2).transpose(1, 2)


def na2d_av(weights: Tensor, values: Tensor, kernel_size: int) -> Tensor:
    """NATTEN's compiled function, by cell: of (B, G, H, W, K*K) and values (B, G, H, W, C)."""
    height, width = values.shape[2:4]
    mixed = torch.empty_like(values)
    for row in range(height):
        top = min(max(row - kernel_size // 2, 0), height - kernel_size)
        for column in range(width):
            left = min(max(column - kernel_size // 2, 0), width - kernel_size)
            window = values[:, :, top : top + kernel_size, left : left + kernel_size].flatten(2, 3)
            mixed[:, :, row, column] = (weights[:, :, row, column, :, None] * window).sum(2)
    return mixed


def fill_stand_ins() -> None:
    """What is computed with, of the modules that are stood in for."""
    sys.modules["depthwise_conv2d_implicit_gemm"].DepthWiseConv2dImplicitGEMM = DepthWiseConv
    sys.modules["einops"].rearrange = rearrange
    sys.modules["einops"].einsum = lambda x, y, _: x.transpose(-2, -1) @ y
    sys.modules["natten.functional"].na2d_av = na2d_av
    sys.modules["timm.models.fx_features"].register_notrace_module = lambda module: module
    sys.modules["mobile.layers"].DropPath = sys.modules["timm.layers"].DropPath
    # Parts that the released networks compute in float32 are compared in float64 as well.
    torch.Tensor.float = lambda self: self  # type: ignore[method-assign]


def classifiers(repos: Path, released: Callable[..., Any]) -> dict[str, Callable[[], nn.Module]]:
    file = partial(released, repos)
    hornet = partial(file, "HorNet", "hornet.py")
    return {
        "hornet_tiny": lambda: hornet().hornet_tiny_7x7(),
        "hornet_tiny_gf": lambda: hornet().hornet_tiny_gf(),
        "slak_tiny": lambda: slak(file("SLaK", "models/SLaK.py")),
        "replknet_31b_shallow": lambda: replknet(file("RepLKNet-pytorch", "replknet.py")),
        "fan_base_hybrid": lambda: fan(file),
        "t2t_vit_7": lambda: t2t_vit(file),
        "sret_tiny": lambda: file("SReT", "SReT.py").SReT_T(),
        "parcnet_small": lambda: parcnet(repos),
        "mobileformer_294m": lambda: mobileformer(file),
        "conformer_small_patch32": lambda: conformer(file("Conformer", "conformer.py")),
        "hrformer_base": lambda: hrformer(repos),
        "rsn_18": lambda: rsn(file("RSN", "exps/RSN18.coco/network.py")),
        "unireplknet_t_shallow": lambda: file("UniRepLKNet", "unireplknet.py").UniRepLKNet(
            depths=(1, 1, 3, 1),
            dims=(80, 160, 320, 640),
            kernel_sizes=((3,), (13,), (13, 3, 13), (13,)),
        ),
        # Without the classifier of the overview, which training alone uses.
        "overlock_xt": lambda: file("OverLoCK", "models/overlock.py").overlock_xt(use_ds=False),
    }


def dense_networks(repos: Path, released: Callable[..., Any]) -> dict[str, Callable[[], nn.Module]]:
    return {
        "overlock_xt": lambda: dense_overlock(
            released(repos, "OverLoCK", "detection/models/overlock.py")
        )
    }


def dense_overlock(module: Any) -> nn.Module:
    """Without the norms of the outputs, and without the overview that is added to the last one."""
    network: nn.Module = module.overlock_xt()
    for index in range(4):
        network.extra_norm[index] = nn.Identity()
    network.h_proj.register_forward_hook(lambda _module, _given, added: 0 * added)
    return network


def conformer(module: Any) -> nn.Module:
    """The sum of both classifiers' logits is what comes out."""
    network: nn.Module = module.Conformer(
        patch_size=32, channel_ratio=4, embed_dim=384, num_heads=6, qkv_bias=True
    )
    network.register_forward_hook(lambda _module, _given, logits: sum(logits))
    return network


def replknet(module: Any) -> nn.Module:
    network: nn.Module = module.RepLKNet(
        [31, 29, 27, 13], [1, 1, 2, 1], [128, 256, 512, 1024], 0.0, small_kernel=5
    )
    return network


def slak(module: Any) -> nn.Module:
    network: nn.Module = module.SLaK_tiny(Decom=True, width_factor=1.3)
    return network


def built(kind: type[nn.Module], *_: Any, **options: Any) -> nn.Module:
    """What timm's ``build_model_with_cfg`` makes, without what concerns weights."""
    for name in ("default_cfg", "pretrained_filter_fn", "feature_cfg", "pretrained_strict"):
        options.pop(name, None)
    return kind(**options)


def fan(file: Callable[..., Any]) -> nn.Module:
    stem = file("FAN", "models/convnext_utils.py", "fan.convnext_utils")
    stem.build_model_with_cfg = built
    # Elsewhere its norms divide by the unbiased variance, which moves the logits by 0.1 %.
    stem._is_contiguous = lambda _: True
    module = file("FAN", "models/fan.py", "fan.fan")
    module.build_model_with_cfg = built
    network: nn.Module = module.fan_base_16_p4_hybrid()
    # Positions are computed in float32.
    network.pos_embed.token_projection.register_forward_pre_hook(
        lambda module, given: (given[0].to(module.weight.dtype),)
    )
    return network


def t2t_vit(file: Callable[..., Any]) -> nn.Module:
    for name in ("transformer_block", "token_transformer", "token_performer", "t2t_vit"):
        module = file("T2T-ViT", f"models/{name}.py", f"t2t.{name}")
    # The scale of the released weights.
    network: nn.Module = module.t2t_vit_7(qk_scale=256**-0.5)
    return network


def mobileformer(file: Callable[..., Any]) -> nn.Module:
    file("MobileFormer", "dna_blocks.py", "mobile.dna_blocks")
    module = file("MobileFormer", "mobile_former.py", "mobile.mobile_former")
    module.build_model_with_cfg = built
    network: nn.Module = module.mobile_former_294m()
    return network


def rsn(module: Any) -> nn.Module:
    options = SimpleNamespace(
        MODEL=SimpleNamespace(STAGE_NUM=1, UPSAMPLE_CHANNEL_NUM=256),
        DATASET=SimpleNamespace(KEYPOINT=SimpleNamespace(NUM=17)),
        OUTPUT_SHAPE=[side // 4 for side in SIZES["rsn_18"]],
        LOSS=SimpleNamespace(OHKM=True, TOPK=8, COARSE_TO_FINE=True),
    )
    network: nn.Module = module.RSN(options)
    return network


def unpack(repos: Path, repo: str, *paths: str) -> str:
    """Takes whole folders out of a clone; gives the folder that they are then in."""
    folder = tempfile.mkdtemp()
    archive = subprocess.check_output(["git", "-C", repos / repo, "archive", "HEAD", *paths])
    with tarfile.open(fileobj=io.BytesIO(archive)) as files:
        files.extractall(folder, filter="data")
    return folder


def parcnet(repos: Path) -> nn.Module:
    sys.path.insert(0, unpack(repos, "ParC-Net", "cvnets", "utils", "common", "options"))
    options = SimpleNamespace()
    for name, value in {
        "model.classification.edge.scale": "scale_s",
        "model.classification.edge.kernel": "gcc_ca",
        "model.activation.name": "swish",
        "model.normalization.name": "batch_norm_2d",
        "model.normalization.momentum": 0.1,
    }.items():
        setattr(options, name, value)
    kind = import_module("cvnets.models.classification.edgeformer").edgeformer
    network: nn.Module = kind(options)
    return network


def hrformer(repos: Path) -> nn.Module:
    folder = unpack(repos, "mmpose", "mmpose/registry.py", "mmpose/models")
    for name in ("mmpose", "mmpose.models", "mmpose.models.backbones", "mmpose.models.utils"):
        package = sys.modules[name] = ModuleType(name)
        package.__path__ = [f"{folder}/{name.replace('.', '/')}"]
    # This one needs the real mmcv, the others what stands in for it.
    others = [name for name in sys.modules if name.partition(".")[0] == "mmcv"]
    stand_ins = {name: sys.modules.pop(name) for name in others}
    stages: dict[str, Any] = {
        f"stage{branches}": {
            "num_modules": modules,
            "num_branches": branches,
            "block": "HRFORMERBLOCK",
            "num_blocks": (2,) * branches,
            "num_channels": (78, 156, 312, 624)[:branches],
            "num_heads": (2, 4, 8, 16)[:branches],
            "window_sizes": (7,) * branches,
            "mlp_ratios": (4,) * branches,
        }
        for branches, modules in ((2, 1), (3, 4), (4, 2))
    }
    stages["stage1"] = {
        "num_modules": 1,
        "num_branches": 1,
        "block": "BOTTLENECK",
        "num_blocks": (2,),
        "num_channels": (64,),
    }
    kind = import_module("mmpose.models.backbones.hrformer").HRFormer
    network: nn.Module = kind({"drop_path_rate": 0.0, **stages})
    sys.modules.update(stand_ins)
    network.register_forward_hook(lambda _module, _given, maps: maps[0].mean((2, 3)))
    return network
