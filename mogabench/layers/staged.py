"""Networks that are a row of stages, each an embedding, blocks and a norm."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from timm.models import checkpoint_seq
from torch import Tensor, nn

from mogabench.layers.backbone import Backbone

if TYPE_CHECKING:
    from collections.abc import Sequence

Stage = tuple[nn.Module, nn.Sequential, nn.Module]
"""An embedding, the blocks and the norm after them."""

STAGE_PARTS = ("patch_embed", "blocks", "norm")


class StagedBackbone(Backbone):
    """Stages at strides that double, then pooling and a linear classifier.

    The parts of stage ``n``, counted from 1, are ``patch_embed{n}``, ``blocks{n}`` and
    ``norm{n}``, as in many released networks; the classifier is ``head``.

    Args:
        stages: The stages, from the finest on.
        dims: Channels of each stage.
        first_stride: Pixels of the image per cell of the first stage's map.
        **options: As ``Backbone`` has them.
    """

    first_in_stage: ClassVar[str] = "patch_embed"
    """A pattern of what comes before a stage's blocks."""

    head: nn.Module

    def __init__(
        self, stages: Sequence[Stage], dims: Sequence[int], *, first_stride: int = 4, **options: Any
    ) -> None:
        named = [
            {f"{part}{number}": module for part, module in zip(STAGE_PARTS, stage, strict=True)}
            for number, stage in enumerate(stages, 1)
        ]
        strides = [first_stride * 2**index for index in range(len(stages))]
        super().__init__(named, dims, strides, **options)

    def set_grad_checkpointing(self, enable: bool = True) -> None:
        """Whether training recomputes each block in the backward pass to save memory."""
        super().set_grad_checkpointing(enable)

    def group_matcher(self, coarse: bool = False) -> dict[str, Any]:
        """Patterns that group parameters by depth, for layer-wise learning rates."""
        by_block = [
            (rf"^(?:{self.first_in_stage})(\d+)", (0,)),
            (r"^blocks(\d+)\.(\d+)", None),
            (r"^norm(\d+)", (99999,)),
        ]
        by_stage = rf"^(?:{self.first_in_stage}|blocks|norm)(\d+)"
        return {"stem": r"^patch_embed1", "blocks": by_stage if coarse else by_block}

    def _forward_stage(self, x: Tensor, number: int) -> Tensor:
        embed, blocks, norm = self._parts(number)
        normed: Tensor = norm(self._run(blocks, embed(x)))
        return normed

    def _parts(self, number: int) -> Stage:
        embed, blocks, norm = (getattr(self, f"{part}{number}") for part in STAGE_PARTS)
        return embed, blocks, norm

    def _run(self, blocks: nn.Sequential, x: Tensor) -> Tensor:
        ran: Tensor = checkpoint_seq(blocks, x) if self._recomputing else blocks(x)
        return ran

    def _make_head(self, num_classes: int, global_pool: str) -> None:
        super()._make_head(num_classes, global_pool)
        if isinstance(self.head, nn.Linear):
            nn.init.trunc_normal_(self.head.weight, std=0.02)
            nn.init.zeros_(self.head.bias)
