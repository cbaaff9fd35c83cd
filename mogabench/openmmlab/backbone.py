"""Any timm network as a backbone of mmdet and mmseg."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from mmengine.model import BaseModule
from mmengine.registry import MODELS
from timm.layers import Format
from timm.models import FeatureListNet
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from mogabench.catalogue import create_network
from mogabench.checkpoints import load_weights
from mogabench.errors import UserError
from mogabench.files import expanded
from mogabench.openmmlab.configs import batch_norm
from mogabench.openmmlab.pyramid import STRIDES, Pyramid, pyramid_of

if TYPE_CHECKING:
    from collections.abc import Sequence


@MODELS.register_module()
class TimmBackbone(BaseModule):
    """A timm network that gives maps at strides 4, 8, 16 and 32.

    A network that normalises its last map before it classifies (Swin, ConvNeXt, ...) normalises
    each level in the same way here, as these networks' own detectors do; LITv2's leave out the
    finest. A plain ViT gives the maps after each quarter of its blocks, rescaled as in BEiT and
    MAE.

    Args:
        name: timm's name of the network.
        image_size: The largest images' size ``(H, W)``, for networks that are built for one.
        out_indices: Which of the four levels are given, from 0.
        frozen_stages: How many levels, with all before them, keep their weights; the new norms of
            their maps are trained.
        norm_eval: Whether batch norms keep their statistics in training.
        pretrained: A file of the classifier's weights, in the formats of `load_weights`.
        init_cfg: mmengine's way to say the same: ``dict(type="Pretrained", checkpoint=FILE)``.
        **options: The network's keyword arguments.

    Raises:
        UserError: There is no such network, or it has no such option or no such levels.
    """

    def __init__(
        self,
        name: str,
        image_size: Sequence[int] = (1333, 1333),
        *,
        out_indices: Sequence[int] = (0, 1, 2, 3),
        frozen_stages: int = 0,
        norm_eval: bool = False,
        pretrained: str | None = None,
        init_cfg: dict[str, Any] | None = None,
        **options: Any,
    ) -> None:
        if pretrained is not None:
            init_cfg = {"type": "Pretrained", "checkpoint": pretrained}
        super().__init__(init_cfg)
        pyramid = pyramid_of(name, options)
        self.network = create_network(
            name,
            {
                **options,
                **_any_size(pyramid, max(image_size)),
                "features_only": True,
                "out_indices": pyramid.indices,
            },
        )
        self.is_channels_last = getattr(self.network, "output_fmt", None) == Format.NHWC
        self.without_decay = pyramid.without_decay
        self.levels = _check_levels(out_indices)
        # DistributedDataParallel takes no parameter without a gradient, as of a level not given.
        self.norms = nn.ModuleList(
            pyramid.norm(level) if level in self.levels else nn.Identity()
            for level in range(len(STRIDES))
        )
        self.rescale = _rescale(pyramid, self.levels)
        self.norm_eval = norm_eval
        self.frozen = _first_stages(self.network, frozen_stages, name)
        for module in self.frozen:
            module.requires_grad_(False)

    def no_weight_decay(self) -> set[str]:
        """Names of parameters to keep from weight decay: those that the whole network names."""
        return {f"network.{name}" for name in self.without_decay}

    def init_weights(self) -> None:
        """Loads the file of ``init_cfg``, if there is one; else the initial weights stay.

        Raises:
            UserError: It names no file, or the file's weights are not those of the network.
        """
        if self.init_cfg is None:
            return
        if self.init_cfg.get("type") != "Pretrained" or "checkpoint" not in self.init_cfg:
            raise UserError(
                f"init_cfg={dict(self.init_cfg)}: a timm network takes "
                "init_cfg=dict(type='Pretrained', checkpoint=FILE)"
            )
        load_weights(self.network, expanded(self.init_cfg["checkpoint"]))

    def forward(self, images: Tensor) -> tuple[Tensor, ...]:
        """Maps images ``(N, 3, H, W)`` to maps ``(N, C_i, H / s_i, W / s_i)`` of the levels."""
        maps = self.network(images)
        if self.is_channels_last:
            maps = [level.permute(0, 3, 1, 2) for level in maps]
        maps = self.rescale(maps)
        return tuple(self.norms[level](maps[level]) for level in self.levels)

    def train(self, mode: bool = True) -> TimmBackbone:
        """Sets training mode, but for what is frozen."""
        super().train(mode)
        for module in self.frozen:
            module.eval()
        if self.norm_eval:
            for module in self.modules():
                if isinstance(module, _BatchNorm):
                    module.eval()
        return self


def _check_levels(out_indices: Sequence[int]) -> tuple[int, ...]:
    if not out_indices or not set(out_indices) <= set(range(len(STRIDES))):
        raise UserError(f"out_indices={list(out_indices)} should be some of 0, 1, 2 and 3")
    return tuple(out_indices)


def _any_size(pyramid: Pyramid, longest: int) -> dict[str, int | bool]:
    """The options with which a network takes images of any size up to a square's."""
    known = pyramid.size_options
    if "strict_img_size" in known:  # its windows shift only where a map is larger than they are
        return {"strict_img_size": False, "img_size": longest}
    if "dynamic_img_size" in known:
        return {"dynamic_img_size": True}
    return {"img_size": longest} if "img_size" in known else {}


def _rescale(pyramid: Pyramid, levels: Sequence[int]) -> nn.Module:
    if not pyramid.plain:
        return nn.Identity()
    from mmseg.models.necks import Feature2Pyramid

    rescale: nn.Module = Feature2Pyramid(pyramid.channels[0], norm_cfg={"type": batch_norm()})
    for level, name in enumerate(("upsample_4x", "upsample_2x")):
        if level not in levels:
            rescale.set_submodule(name, nn.Identity())
    return rescale


def _first_stages(network: nn.Module, stages: int, name: str) -> list[nn.Module]:
    """All modules up to the one that gives the level of that number, counted from 1."""
    if not stages:
        return []
    if not isinstance(network, FeatureListNet):
        raise UserError(f"{name} has no stages that could be frozen: leave frozen_stages out")
    modules = list(network.items())
    last = [place for place, (key, _) in enumerate(modules) if key in network.return_layers]
    if stages not in range(len(last) + 1):
        raise UserError(f"{name} has {len(last)} stages that could be frozen, not {stages}")
    return [module for _, module in modules[: last[stages - 1] + 1]]
