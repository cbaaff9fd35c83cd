"""What the transformer families share: attention over heads, the pre-norm block, layouts.

Tokens are kept as ``(N, H, W, C)`` within a stage and leave it as ``(N, C, H, W)``.
"""

from __future__ import annotations

from timm.layers import DropPath, PatchEmbed
from torch import Tensor, nn


def attend(
    query: Tensor, key: Tensor, value: Tensor, heads: int, bias: Tensor | None = None
) -> Tensor:
    """Scaled dot-product attention over several heads.

    Args:
        query: ``(N, L, C)``.
        key: ``(N, S, C)``.
        value: ``(N, S, D)``.
        heads: Number of heads, which divides C and D.
        bias: Added to the scores; broadcast to ``(N, heads, L, S)``.

    Returns:
        The mixed values ``(N, L, D)``.
    """
    query, key, value = (
        x.view(*x.shape[:2], heads, -1).transpose(1, 2) for x in (query, key, value)
    )
    mixed = nn.functional.scaled_dot_product_attention(query, key, value, attn_mask=bias)
    return mixed.transpose(1, 2).flatten(2)


def patch_embed(in_chans: int, dim: int, size: int, *, pad: bool) -> nn.Module:
    """Projects disjoint patches, then layer norm: ``(N, C_in, H, W)`` to ``(N, H', W', C)``.

    Args:
        in_chans: Channels before.
        dim: Channels after.
        size: Side of a patch, pixels.
        pad: Whether pixels that fill no patch are padded with zeros, or else left out.
    """
    embed: nn.Module = PatchEmbed(
        None,
        size,
        in_chans,
        dim,
        norm_layer=nn.LayerNorm,
        output_fmt="NHWC",
        dynamic_img_pad=pad,
    )
    return embed


def pad_to_patches(images: Tensor, side: int) -> Tensor:
    """Adds zeros below and right of images ``(N, C, H, W)`` until patches fill them."""
    missing_rows, missing_columns = (-length % side for length in images.shape[2:])
    return nn.functional.pad(images, (0, missing_columns, 0, missing_rows))


class TransformerBlock(nn.Module):
    """Attention then an MLP, each normalised before and added to what went in.

    Args:
        dim: Channels.
        attn: The attention.
        mlp: The MLP.
        drop_path: Rate of stochastic depth.
        eps: Of the layer norms.
    """

    def __init__(
        self,
        dim: int,
        attn: nn.Module,
        mlp: nn.Module,
        *,
        drop_path: float = 0.0,
        eps: float = 1e-5,
    ) -> None:
        super().__init__()
        self.norm1 = nn.LayerNorm(dim, eps=eps)
        self.attn = attn
        self.drop_path = DropPath(drop_path)
        self.norm2 = nn.LayerNorm(dim, eps=eps)
        self.mlp = mlp

    def forward(self, x: Tensor, *context: Tensor) -> Tensor:
        """Maps ``(N, …, C)`` to the same shape; the attention gets ``context`` as well."""
        x = x + self.drop_path(self.attn(self.norm1(x), *context))
        mixed: Tensor = x + self.drop_path(self.mlp(self.norm2(x)))
        return mixed


class ToMap(nn.Module):
    """``(N, H, W, C)`` as ``(N, C, H, W)``."""

    def forward(self, x: Tensor) -> Tensor:
        """Permutes the dimensions."""
        return x.permute(0, 3, 1, 2)
