"""SimVP: an encoder for each frame, a translator over all of them, a decoder for each frame.

The state dict has the names and shapes of OpenSTL's released networks.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from timm.layers import trunc_normal_
from torch import Tensor, nn

from mogabench.errors import UserError
from mogabench.models.simvp.translators import make_translator

if TYPE_CHECKING:
    from collections.abc import Sequence

_DOWNSAMPLING = (False, True, False, True)


class ConvNormAct(nn.Module):
    """A 3x3 convolution, group norm and SiLU; halves the size, doubles it, or keeps it."""

    def __init__(
        self, in_dim: int, dim: int, *, downsample: bool = False, upsample: bool = False
    ) -> None:
        super().__init__()
        if upsample:
            self.conv: nn.Module = nn.Sequential(
                nn.Conv2d(in_dim, 4 * dim, 3, padding=1), nn.PixelShuffle(2)
            )
        else:
            self.conv = nn.Conv2d(in_dim, dim, 3, stride=2 if downsample else 1, padding=1)
        self.norm = nn.GroupNorm(2, dim)
        self.act = nn.SiLU()
        self.apply(_init_conv)

    def forward(self, x: Tensor) -> Tensor:
        """Maps ``(N, C_in, H, W)`` to ``(N, C, H, W)``, the size halved, doubled or kept."""
        out: Tensor = self.act(self.norm(self.conv(x)))
        return out


def _init_conv(module: nn.Module) -> None:
    if isinstance(module, nn.Conv2d):
        trunc_normal_(module.weight, std=0.02)
        assert module.bias is not None
        nn.init.zeros_(module.bias)


class SpatialConv(nn.Module):
    """One level of the encoder or the decoder; released weights nest it one name deeper."""

    def __init__(
        self, in_dim: int, dim: int, *, downsample: bool = False, upsample: bool = False
    ) -> None:
        super().__init__()
        self.conv = ConvNormAct(in_dim, dim, downsample=downsample, upsample=upsample)

    def forward(self, x: Tensor) -> Tensor:
        """See `ConvNormAct`."""
        out: Tensor = self.conv(x)
        return out


class Encoder(nn.Module):
    """Four convolutions of strides 1, 2, 1 and 2."""

    def __init__(self, channels: int, dim: int) -> None:
        super().__init__()
        dims = (channels, dim, dim, dim)
        self.enc = nn.Sequential(
            *(
                SpatialConv(in_dim, dim, downsample=downsample)
                for in_dim, downsample in zip(dims, _DOWNSAMPLING, strict=True)
            )
        )

    def forward(self, frames: Tensor) -> tuple[Tensor, Tensor]:
        """Maps frames ``(N, C, H, W)`` to features ``(N, C', H/4, W/4)`` and first ones, at H, W.

        Returns:
            The features, and those of the first convolution ``(N, C', H, W)``.
        """
        first = self.enc[0](frames)
        return self.enc[1:](first), first


class Decoder(nn.Module):
    """The encoder backwards, up-sampling by pixel shuffle, and a 1x1 read-out."""

    def __init__(self, dim: int, channels: int) -> None:
        super().__init__()
        self.dec = nn.Sequential(
            *(SpatialConv(dim, dim, upsample=upsample) for upsample in reversed(_DOWNSAMPLING))
        )
        self.readout = nn.Conv2d(dim, channels, 1)

    def forward(self, features: Tensor, first: Tensor) -> Tensor:
        """Maps ``(N, C', H/4, W/4)`` and the encoder's first features to ``(N, C, H, W)``."""
        frames: Tensor = self.readout(self.dec[-1](self.dec[:-1](features) + first))
        return frames


class SimVP(nn.Module):
    """Predicts as many frames as it is given.

    Args:
        translator: One of `mogabench.models.simvp.translators.TRANSLATORS`.
        input_size: Frames, channels, height and width of a sequence; the latter two multiples
            of 4.
        encoder_dim: Channels of a frame's features.
        hidden_dim: Channels inside the translator.
        depth: Blocks of the translator.
        mlp_ratio: Hidden over outer channels of the blocks' MLPs.
        drop_path: Stochastic depth of the last block. As in OpenSTL the rate runs linearly from
            0.01 at the first block, also down to the paper's 0.

    Raises:
        UserError: No such translator, or the size or the channels do not fit.
    """

    def __init__(
        self,
        translator: str = "moganet",
        *,
        input_size: Sequence[int] = (10, 1, 64, 64),
        encoder_dim: int = 64,
        hidden_dim: int = 512,
        depth: int = 8,
        mlp_ratio: float = 8.0,
        drop_path: float = 0.0,
    ) -> None:
        super().__init__()
        if len(input_size) != 4 or input_size[2] % 4 or input_size[3] % 4:
            size = "x".join(map(str, input_size))
            raise UserError(
                f"SimVP takes frames x channels x height x width such as 10x1x64x64, the last two "
                f"multiples of 4, not {size}"
            )
        frames, channels, height, width = input_size
        self.enc = Encoder(channels, encoder_dim)
        dim = frames * encoder_dim
        try:
            self.hid = make_translator(
                translator,
                dim,
                (height // 4, width // 4),
                hidden_dim=hidden_dim,
                depth=depth,
                mlp_ratio=mlp_ratio,
                drop_path=drop_path,
            )
        except (AssertionError, ValueError) as error:  # of heads or groups, by timm or PyTorch
            raise UserError(
                f"the translator {translator} cannot have {dim} channels outside (frames times "
                f"encoder_dim) and {hidden_dim} inside (hidden_dim): take multiples of 8"
            ) from error
        self.dec = Decoder(encoder_dim, channels)

    def forward(self, frames: Tensor) -> Tensor:
        """Maps past frames ``(B, T, C, H, W)`` to as many future ones."""
        features, first = self.enc(frames.flatten(0, 1))
        stacked = _stack_frames(features, frames.shape[0])
        translated = self.hid(stacked).reshape(features.shape)
        predicted: Tensor = self.dec(translated, first)
        return predicted.reshape(frames.shape)


def _stack_frames(features: Tensor, sequences: int) -> Tensor:
    """Maps ``(B*T, C, H, W)`` to ``(B, T*C, H, W)`` in the same memory format."""
    images, channels, height, width = features.shape
    channels_last = features.is_contiguous(memory_format=torch.channels_last)
    layout = torch.channels_last if channels_last else torch.contiguous_format
    frames = images // sequences
    stacked = features.reshape(sequences, frames * channels, height, width)
    return stacked.contiguous(memory_format=layout)
