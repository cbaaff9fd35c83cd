"""HRFormer: HRNet with window attention in its branches (Yuan et al., NeurIPS 2021).

In the form for poses, where all branches are fused into the finest and that is all there is.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Unpack

from timm.layers import calculate_drop_path_rates
from timm.models.resnet import Bottleneck
from timm.models.swin_transformer import WindowAttention
from torch import Tensor, nn

from mogabench.layers.backbone import Backbone, HeadOptions
from mogabench.layers.branches import FusedBranches, Transition
from mogabench.layers.convolutions import conv_norm
from mogabench.layers.registration import register_family
from mogabench.layers.released import StateDict, renaming
from mogabench.layers.transformer import TransformerBlock
from mogabench.layers.windows import in_windows

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

WINDOW = (7, 7)
MLP_RATIO = 4
STEM_DIM = 64
RESNET_DIM = STEM_DIM * Bottleneck.expansion
BLOCKS = 2
"""Blocks of each branch in a module."""

STRIDE = 4


class LocalAttention(nn.Module):
    """Swin's attention within windows, which zeros all around the map fill up."""

    def __init__(self, dim: int, heads: int) -> None:
        super().__init__()
        self.attn = WindowAttention(dim, heads, window_size=WINDOW)

    def forward(self, x: Tensor) -> Tensor:
        """Maps ``(N, H, W, C)`` to the same shape."""
        mixed: Tensor = in_windows(self.attn, x, WINDOW, centred=True)
        return mixed


class LocalMlp(nn.Module):
    """An MLP with a DW3x3 inside, each layer with batch norm and GELU."""

    def __init__(self, dim: int) -> None:
        super().__init__()
        hidden = MLP_RATIO * dim
        self.fc1 = nn.Conv2d(dim, hidden, 1)
        self.norm1 = nn.BatchNorm2d(hidden)
        self.dw3x3 = nn.Conv2d(hidden, hidden, 3, padding=1, groups=hidden)
        self.norm2 = nn.BatchNorm2d(hidden)
        self.fc2 = nn.Conv2d(hidden, dim, 1)
        self.norm3 = nn.BatchNorm2d(dim)
        self.act = nn.GELU()

    def forward(self, x: Tensor) -> Tensor:
        """Maps ``(N, H, W, C)`` to the same shape."""
        y = self.act(self.norm1(self.fc1(x.permute(0, 3, 1, 2))))
        y = self.act(self.norm2(self.dw3x3(y)))
        y = self.act(self.norm3(self.fc2(y)))
        mixed: Tensor = y.permute(0, 2, 3, 1)
        return mixed


class WindowBlock(TransformerBlock):
    """A transformer block with local attention and MLP."""

    def __init__(self, dim: int, heads: int, drop_path: float) -> None:
        super().__init__(
            dim, LocalAttention(dim, heads), LocalMlp(dim), drop_path=drop_path, eps=1e-6
        )

    def forward(self, x: Tensor, *context: Tensor) -> Tensor:
        """Maps ``(N, C, H, W)`` to the same shape."""
        return super().forward(x.permute(0, 2, 3, 1), *context).permute(0, 3, 1, 2)


class Stem(nn.Sequential):
    """Two strided convolutions and a stage of ResNet; what comes out is the only branch."""

    def __init__(self, in_chans: int) -> None:
        project = conv_norm(STEM_DIM, RESNET_DIM, 1)
        super().__init__(
            *conv_norm(in_chans, STEM_DIM, 3, stride=2),
            nn.ReLU(),
            *conv_norm(STEM_DIM, STEM_DIM, 3, stride=2),
            nn.ReLU(),
            nn.Sequential(
                Bottleneck(STEM_DIM, STEM_DIM, downsample=project),
                Bottleneck(RESNET_DIM, STEM_DIM),
            ),
        )

    def forward(self, x: Any) -> Any:
        """Maps images ``(N, C, H, W)`` to ``[(N, 256, H/4, W/4)]``."""
        for layer in self:
            x = layer(x)
        return [x]


class Finest(nn.Module):
    """The first of a list of maps."""

    def forward(self, maps: list[Tensor]) -> Tensor:
        """Picks it."""
        return maps[0]


class HRFormer(Backbone):
    """Branches at strides 4 to 32 side by side, of which the finest comes out.

    Args:
        dims: Channels of each branch, the finest first.
        heads: Heads of each branch.
        modules: Modules of the second stage and those after it.
        in_chans: Channels of the images.
        drop_path_rate: Stochastic depth of the last block; it grows linearly from 0 at the first.
        **head: As ``HeadOptions`` has them.
    """

    def __init__(
        self,
        dims: Sequence[int],
        heads: Sequence[int],
        modules: Sequence[int],
        *,
        in_chans: int = 3,
        drop_path_rate: float = 0.0,
        **head: Unpack[HeadOptions],
    ) -> None:
        parts: dict[str, nn.Module] = {"stem": Stem(in_chans)}
        rates = calculate_drop_path_rates(drop_path_rate, BLOCKS * sum(modules))
        before: Sequence[int] = (RESNET_DIM,)
        for number, count in enumerate(modules, 1):
            after = dims[: number + 1]
            parts[f"transition{number}"] = Transition(before, after)
            stage = []
            for _ in range(count):
                own, rates = rates[:BLOCKS], rates[BLOCKS:]
                stage.append(_module(after, heads, own, outputs=len(after) if rates else 1))
            parts[f"stage{number + 1}"] = nn.Sequential(*stage)
            before = after
        parts["finest"] = Finest()
        super().__init__([parts], dims[:1], [STRIDE], in_chans=in_chans, **head)

    def no_weight_decay(self) -> set[str]:
        """Patterns of parameters to keep from weight decay: the tables, as released."""
        return {"*.relative_position_bias_table"}


def _module(
    dims: Sequence[int], heads: Sequence[int], drop_paths: Sequence[float], outputs: int
) -> FusedBranches:
    branches = [
        nn.Sequential(*(WindowBlock(dim, count, rate) for rate in drop_paths))
        for dim, count in zip(dims, heads, strict=False)
    ]
    return FusedBranches(branches, dims, outputs)


_rename = renaming(
    {
        r"^conv1\.": "stem.0.",
        r"^bn1\.": "stem.1.",
        r"^conv2\.": "stem.3.",
        r"^bn2\.": "stem.4.",
        r"^layer1\.": "stem.6.",
        r"\.ffn\.": ".mlp.",
    }
)


def checkpoint_filter_fn(state_dict: Mapping[str, Tensor], model: HRFormer) -> StateDict:
    """Translates the names of mmpose's release; tables of indices are computed here."""
    renamed = _rename(state_dict, model)
    return {
        name: tensor
        for name, tensor in renamed.items()
        if not name.endswith("relative_position_index")
    }


register_family(
    __name__,
    HRFormer,
    {
        # HRFormer-B in the form for poses, 43.2 M parameters.
        "hrformer_base": {
            "dims": (78, 156, 312, 624),
            "heads": (2, 4, 8, 16),
            "modules": (1, 4, 2),
        }
    },
    features={"out_indices": (0,)},
    checkpoint_filter_fn=checkpoint_filter_fn,
    pool_size=(56, 56),
    first_conv="stem.0",
    classifier="head",
    origin_url="https://github.com/HRNet/HRFormer",
    paper_ids="arXiv:2110.09408",
)
