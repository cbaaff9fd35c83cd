"""The blocks of Conformer (Peng et al., ICCV 2021): ResNet's and a transformer's, side by side."""

from __future__ import annotations

from functools import partial

import torch
from timm.layers import Mlp
from timm.models.vision_transformer import Attention
from torch import Tensor, nn

from mogabench.layers.transformer import TransformerBlock

Streams = tuple[Tensor, Tensor]
"""A map ``(N, C, H, W)``, and a class token with one token per patch ``(N, 1 + L, D)``."""

EMBED_DIM = 384
HEADS = 6
MLP_RATIO = 4
EXPANSION = 4
"""Channels of a bottleneck block per channel between its convolutions."""

batch_norm = partial(nn.BatchNorm2d, eps=1e-6)


class Bottleneck(nn.Module):
    """ResNet's block, with the hidden map before and after its 3x3 open to the other stream.

    Args:
        in_chans: Channels before.
        dim: Channels after.
        stride: Of the 3x3.
        project: Whether the shortcut is a convolution.
    """

    def __init__(self, in_chans: int, dim: int, stride: int = 1, *, project: bool = False) -> None:
        super().__init__()
        hidden = dim // EXPANSION
        self.conv1 = nn.Conv2d(in_chans, hidden, 1, bias=False)
        self.bn1 = batch_norm(hidden)
        self.conv2 = nn.Conv2d(hidden, hidden, 3, stride=stride, padding=1, bias=False)
        self.bn2 = batch_norm(hidden)
        self.conv3 = nn.Conv2d(hidden, dim, 1, bias=False)
        self.bn3 = batch_norm(dim)
        self.act = nn.ReLU()
        if project:
            self.residual_conv = nn.Conv2d(in_chans, dim, 1, stride=stride, bias=False)
            self.residual_bn = batch_norm(dim)
        self.project = project

    def forward(self, x: Tensor, added: Tensor | None = None) -> Streams:
        """Maps ``(N, C_in, H, W)`` to the output and the hidden map after the 3x3.

        Args:
            x: The input.
            added: What the hidden map before the 3x3 gains.
        """
        hidden = self.act(self.bn1(self.conv1(x)))
        hidden = self.act(self.bn2(self.conv2(hidden if added is None else hidden + added)))
        shortcut = self.residual_bn(self.residual_conv(x)) if self.project else x
        return self.act(self.bn3(self.conv3(hidden)) + shortcut), hidden


class ToTokens(nn.Module):
    """A map's hidden channels as tokens, averaged over the patches."""

    def __init__(self, dim: int, stride: int) -> None:
        super().__init__()
        self.conv_project = nn.Conv2d(dim, EMBED_DIM, 1)
        self.sample_pooling = nn.AvgPool2d(stride)
        self.ln = nn.LayerNorm(EMBED_DIM, eps=1e-6)
        self.act = nn.GELU()

    def forward(self, x: Tensor) -> Tensor:
        """Maps ``(N, C, H, W)`` to ``(N, L, D)``."""
        pooled = self.sample_pooling(self.conv_project(x))
        tokens: Tensor = self.act(self.ln(pooled.flatten(2).transpose(1, 2)))
        return tokens


class ToHiddenMap(nn.Module):
    """Tokens as a map's hidden channels, repeated over the patches."""

    def __init__(self, dim: int, stride: int) -> None:
        super().__init__()
        self.stride = stride
        self.conv_project = nn.Conv2d(EMBED_DIM, dim, 1)
        self.bn = batch_norm(dim)
        self.act = nn.ReLU()

    def forward(self, tokens: Tensor, size: torch.Size) -> Tensor:
        """Maps ``(N, 1 + L, D)`` to ``(N, C, *size)``."""
        height, width = (side // self.stride for side in size)
        patches = tokens[:, 1:].transpose(1, 2).reshape(len(tokens), -1, height, width)
        x = self.act(self.bn(self.conv_project(patches)))
        return nn.functional.interpolate(x, size=size)


class TwoStreamBlock(nn.Module):
    """A bottleneck block gives to a transformer block, which gives to a second bottleneck.

    Args:
        in_chans: Channels of the map before.
        dim: Channels of the map after.
        patch: Side of a patch, cells of the map.
        stride: Of the first bottleneck.
        last: Whether the second bottleneck has stride 2.
        drop_path: Rate of stochastic depth of the transformer block.
    """

    def __init__(
        self, in_chans: int, dim: int, patch: int, stride: int, *, last: bool, drop_path: float
    ) -> None:
        super().__init__()
        self.cnn_block = Bottleneck(in_chans, dim, stride, project=in_chans != dim)
        self.fusion_block = Bottleneck(dim, dim, 2 if last else 1, project=last)
        self.squeeze_block = ToTokens(dim // EXPANSION, patch)
        self.expand_block = ToHiddenMap(dim // EXPANSION, patch)
        self.trans_block = transformer_block(drop_path)

    def forward(self, streams: Streams) -> Streams:
        """Maps both streams."""
        x, tokens = streams
        x, hidden = self.cnn_block(x)
        # The class token, of which the map knows nothing, is doubled.
        given = torch.cat([tokens[:, :1], self.squeeze_block(hidden)], dim=1)
        tokens = self.trans_block(given + tokens)
        x, _ = self.fusion_block(x, self.expand_block(tokens, hidden.shape[2:]))
        return x, tokens


def transformer_block(drop_path: float) -> TransformerBlock:
    """A transformer block with Conformer's sizes."""
    return TransformerBlock(
        EMBED_DIM,
        Attention(EMBED_DIM, HEADS, qkv_bias=True),
        Mlp(EMBED_DIM, MLP_RATIO * EMBED_DIM),
        drop_path=drop_path,
        eps=1e-6,
    )
