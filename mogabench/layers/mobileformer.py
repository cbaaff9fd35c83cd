"""The blocks of Mobile-Former (Chen et al., CVPR 2022): convolutions beside a few tokens."""

from __future__ import annotations

import torch
from timm.layers import DropPath
from torch import Tensor, nn

from mogabench.layers.convolutions import conv_norm
from mogabench.layers.transformer import attend

Streams = tuple[Tensor, Tensor]
"""A map ``(N, C, H, W)`` and the tokens ``(N, T, D)``."""

TOKEN_DIM = 192
BRIDGE_HEADS = 2
TOKEN_HEADS = 4


class Bridge(nn.Module):
    """Attention of the tokens to a map, whose channels are the keys and values themselves."""

    def __init__(self, dim: int, drop_path: float) -> None:
        super().__init__()
        self.alpha = nn.Sequential(nn.Linear(TOKEN_DIM, dim), nn.Hardsigmoid())
        self.q = nn.Linear(TOKEN_DIM, dim)
        self.proj = nn.Linear(dim, TOKEN_DIM)
        self.layer_norm = nn.LayerNorm(TOKEN_DIM)
        self.drop_path = DropPath(drop_path)

    def forward(self, x: Tensor, tokens: Tensor) -> Tensor:
        """Maps the tokens ``(N, T, D)`` to the same shape."""
        places = x.flatten(2).transpose(1, 2)
        seen = attend(self.q(tokens), places, places, BRIDGE_HEADS)
        seen = self.proj(2 * self.alpha(tokens) * seen)
        normed: Tensor = self.layer_norm(tokens + self.drop_path(seen))
        return normed


class TokenBlock(nn.Module):
    """Attention among the tokens, then an MLP; each normalised after."""

    def __init__(self, drop_path: float) -> None:
        super().__init__()
        self.q = nn.Linear(TOKEN_DIM, TOKEN_DIM)
        self.channel_mlp = nn.Linear(TOKEN_DIM, TOKEN_DIM)
        self.layer_norm = nn.LayerNorm(TOKEN_DIM)
        self.ffn = nn.Sequential(
            nn.Linear(TOKEN_DIM, 2 * TOKEN_DIM), nn.GELU(), nn.Linear(2 * TOKEN_DIM, TOKEN_DIM)
        )
        self.ffn_norm = nn.LayerNorm(TOKEN_DIM)
        self.drop_path = DropPath(drop_path)

    def forward(self, tokens: Tensor) -> Tensor:
        """Maps the tokens ``(N, T, D)`` to the same shape."""
        mixed = self.channel_mlp(attend(self.q(tokens), tokens, tokens, TOKEN_HEADS))
        tokens = self.layer_norm(tokens + self.drop_path(mixed))
        normed: Tensor = self.ffn_norm(tokens + self.ffn(tokens))
        return normed


class BridgeBack(nn.Module):
    """Attention of a map's places to the tokens; their channels are the queries themselves."""

    def __init__(self, dim: int, drop_path: float) -> None:
        super().__init__()
        self.k = nn.Linear(TOKEN_DIM, dim)
        self.proj = nn.Linear(TOKEN_DIM, dim)
        self.drop_path = DropPath(drop_path)

    def forward(self, x: Tensor, tokens: Tensor) -> Tensor:
        """Maps ``(N, C, H, W)`` to the same shape."""
        places = x.flatten(2).transpose(1, 2)
        attended = attend(places, self.k(tokens), self.proj(tokens), BRIDGE_HEADS)
        mixed: Tensor = x + self.drop_path(attended.transpose(1, 2).reshape(x.shape))
        return mixed


class DynamicRelu(nn.Module):
    """The larger of two multiples of each element, with factors from the first token."""

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.hyper = nn.Sequential(
            nn.Linear(TOKEN_DIM, TOKEN_DIM // 4),
            nn.ReLU(),
            nn.Linear(TOKEN_DIM // 4, 2 * dim),
            nn.Hardsigmoid(),
        )

    def forward(self, x: Tensor, tokens: Tensor) -> Tensor:
        """Maps ``(N, C, H, W)`` to the same shape; the factors lie in 0 to 2 and in -1 to 1."""
        first, second = (2 * self.hyper(tokens[:, 0]) - 1)[..., None, None].chunk(2, dim=1)
        return torch.maximum(x * (first + 1), x * second)


class FormerBlock(nn.Module):
    """Both bridges and the tokens' block, which a block's convolutions lie between.

    Args:
        in_chans: Channels before.
        dim: Channels after.
        drop_path: Rate of stochastic depth.
    """

    def __init__(self, in_chans: int, dim: int, drop_path: float) -> None:
        super().__init__()
        self.local_global = Bridge(in_chans, drop_path)
        self.global_block = TokenBlock(drop_path)
        self.global_local = BridgeBack(dim, drop_path)
        self.drop_path = DropPath(drop_path)

    def forward(self, streams: Streams) -> Streams:
        """Maps both streams."""
        x, tokens = streams
        tokens = self.global_block(self.local_global(x, tokens))
        return self.global_local(self.convolve(x, tokens), tokens), tokens

    def convolve(self, x: Tensor, tokens: Tensor) -> Tensor:
        """The convolutions, ``(N, C_in, H, W)`` to ``(N, C, H', W')``."""
        raise NotImplementedError


class Mobile(FormerBlock):
    """A 1x1, a DW3x3 and a 1x1, added to what went in where shapes allow."""

    def __init__(self, in_chans: int, dim: int, expansion: int, drop_path: float) -> None:
        super().__init__(in_chans, dim, drop_path)
        hidden = expansion * in_chans
        self.conv1 = conv_norm(in_chans, hidden, 1)
        self.hyper1 = DynamicRelu(hidden)
        self.conv2 = conv_norm(hidden, hidden, 3, groups=hidden)
        self.hyper2 = DynamicRelu(hidden)
        self.conv3 = conv_norm(hidden, dim, 1)
        self.is_residual = in_chans == dim

    def convolve(self, x: Tensor, tokens: Tensor) -> Tensor:
        """The convolutions, ``(N, C_in, H, W)`` to ``(N, C, H, W)``."""
        y = self.hyper1(self.conv1(x), tokens)
        y = self.conv3(self.hyper2(self.conv2(y), tokens))
        mixed: Tensor = x + self.drop_path(y) if self.is_residual else y
        return mixed


class MobileDown(FormerBlock):
    """A widening DW3x3 with stride 2 and a 1x1; then the same at stride 1, added to their input."""

    def __init__(self, in_chans: int, dim: int, expansion: int, drop_path: float) -> None:
        super().__init__(in_chans, dim, drop_path)
        before, after = expansion * in_chans, 4 * dim
        self.conv1 = conv_norm(in_chans, before, 3, stride=2, groups=in_chans)
        self.hyper1 = DynamicRelu(before)
        self.conv2 = conv_norm(before, dim, 1)
        self.conv3 = conv_norm(dim, after, 3, groups=dim)
        self.hyper3 = DynamicRelu(after)
        self.conv4 = conv_norm(after, dim, 1)

    def convolve(self, x: Tensor, tokens: Tensor) -> Tensor:
        """The convolutions, ``(N, C_in, H, W)`` to ``(N, C, H/2, W/2)``."""
        x = self.conv2(self.hyper1(self.conv1(x), tokens))
        y = self.conv4(self.hyper3(self.conv3(x), tokens))
        mixed: Tensor = x + self.drop_path(y)
        return mixed


class Lite(nn.Module):
    """A widening DW3x3 and a 1x1, added to what went in; the tokens pass by."""

    def __init__(self, dim: int, expansion: int) -> None:
        super().__init__()
        self.conv = nn.Sequential(
            *conv_norm(dim, expansion * dim, 3, groups=dim),
            nn.ReLU6(),
            *conv_norm(expansion * dim, dim, 1),
        )

    def forward(self, streams: Streams) -> Streams:
        """Maps both streams."""
        x, tokens = streams
        return x + self.conv(x), tokens
