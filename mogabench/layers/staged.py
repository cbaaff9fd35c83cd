"""timm's interface for networks that are a row of stages, each an embedding, blocks and a norm."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NoReturn, TypedDict

from timm.layers import SelectAdaptivePool2d, create_classifier
from timm.models import checkpoint_seq
from timm.models._features import feature_take_indices
from torch import Tensor, nn

from mogabench.errors import UserError

if TYPE_CHECKING:
    from collections.abc import Sequence

Stage = tuple[nn.Module, nn.Sequential, nn.Module]
"""An embedding, the blocks and the norm after them."""

STAGE_PARTS = ("patch_embed", "blocks", "norm")


class HeadOptions(TypedDict, total=False):
    """What the constructor of every family takes, beside its own, for ``StagedBackbone``.

    Attributes:
        num_classes: Outputs of the classifier, 1000 if not given; 0 for none.
        global_pool: timm's name of the pooling before the classifier, average if not given; empty
            for none.
    """

    num_classes: int
    global_pool: str


class StagedBackbone(nn.Module):
    """Stages at strides that double, then pooling and a linear classifier.

    The parts of stage ``n``, counted from 1, are ``patch_embed{n}``, ``blocks{n}`` and
    ``norm{n}``, as in many released networks; the classifier is ``head``.

    Args:
        stages: The stages, from the finest on.
        dims: Channels of each stage.
        in_chans: Channels of the images.
        num_classes: Outputs of the classifier; 0 for none.
        global_pool: timm's name of the pooling before the classifier; empty for none.
        norm: What the last feature map goes through before it is classified, and only then.
        norm_pooled: Whether the norm comes after the pooling.
        head_hidden_size: Channels that the classifier gets; those of the last stage if None.
        first_stride: Pixels of the image per cell of the first stage's map.
    """

    norm: nn.Module
    global_pool: SelectAdaptivePool2d
    head: nn.Module

    def __init__(
        self,
        stages: Sequence[Stage],
        dims: Sequence[int],
        *,
        in_chans: int,
        num_classes: int = 1000,
        global_pool: str = "avg",
        norm: nn.Module | None = None,
        norm_pooled: bool = False,
        head_hidden_size: int | None = None,
        first_stride: int = 4,
    ) -> None:
        super().__init__()
        for number, stage in enumerate(stages, 1):
            for part, module in zip(STAGE_PARTS, stage, strict=True):
                self.add_module(f"{part}{number}", module)
        self.norm = nn.Identity() if norm is None else norm
        self.norm_pooled = norm_pooled
        self.feature_info: list[dict[str, Any]] = [
            {"num_chs": dim, "reduction": first_stride * 2**index, "module": f"norm{index + 1}"}
            for index, dim in enumerate(dims)
        ]
        self.grad_checkpointing = False
        self.in_chans = in_chans
        self.num_stages = len(dims)
        self.num_features = dims[-1]
        self.head_hidden_size = head_hidden_size or dims[-1]
        self._make_head(num_classes, global_pool)

    def __prepare_scriptable__(self) -> NoReturn:
        """Refuses ``torch.jit.script``, which asks for this and would fail on a type annotation.

        Raises:
            UserError: Always.
        """
        raise UserError(
            f"{type(self).__name__} cannot go through torch.jit.script, which PyTorch has "
            "deprecated: torch.export and torch.compile take it"
        )

    def forward(self, x: Tensor) -> Tensor:
        """Maps images ``(N, C, H, W)`` to logits ``(N, num_classes)``."""
        return self.forward_head(self.forward_features(x))

    def forward_features(self, x: Tensor) -> Tensor:
        """Maps images ``(N, C, H, W)`` to the last stage's ``(N, num_features, H/32, W/32)``."""
        for number in range(1, self.num_stages + 1):
            x = self._forward_stage(x, number)
        return self._normed_map(x)

    def forward_head(self, x: Tensor, pre_logits: bool = False) -> Tensor:
        """Pools the last feature map and, unless ``pre_logits``, classifies it."""
        pooled: Tensor = self.global_pool(x)
        if self.norm_pooled and self.global_pool.pool_type:
            pooled = self.norm(pooled)
        return pooled if pre_logits else self.head(pooled)

    def forward_intermediates(
        self,
        x: Tensor,
        indices: int | list[int] | None = None,
        *,
        norm: bool = False,
        stop_early: bool = False,
        output_fmt: str = "NCHW",
        intermediates_only: bool = False,
    ) -> list[Tensor] | tuple[Tensor, list[Tensor]]:
        """Feature maps of chosen stages, as timm's own networks give them.

        Args:
            x: Images ``(N, C, H, W)``.
            indices: Stages, counted from 0; the last so many if a number, all if None.
            norm: No effect: the maps are as the stages give them.
            stop_early: Whether to leave out the stages after the last one chosen.
            output_fmt: ``NCHW``.
            intermediates_only: Whether to return the maps alone.

        Returns:
            The maps ``(N, C_i, H_i, W_i)``; before them what ``forward_features`` gives (or, if
            stopped early, the last map), unless ``intermediates_only``.

        Raises:
            UserError: Another ``output_fmt``.
        """
        if output_fmt != "NCHW":
            raise UserError(f"feature maps come as NCHW here, not as {output_fmt}")
        chosen, last = feature_take_indices(self.num_stages, indices)
        maps = []
        stages = last + 1 if stop_early else self.num_stages
        for index in range(stages):
            x = self._forward_stage(x, index + 1)
            if index in chosen:
                maps.append(self._feature_map(x))
        if intermediates_only:
            return maps
        return self._normed_map(x) if stages == self.num_stages else x, maps

    def prune_intermediate_layers(
        self, indices: int | list[int] = 1, prune_norm: bool = False, prune_head: bool = True
    ) -> list[int]:
        """Removes the stages after the last one chosen, and the classifier.

        Args:
            indices: Stages, counted from 0; the last so many if a number.
            prune_norm: Whether to remove the norm before the classifier even if no stage goes.
            prune_head: Whether to remove the classifier even if no stage goes.

        Returns:
            The chosen stages, counted from 0.
        """
        chosen: list[int]
        chosen, last = feature_take_indices(self.num_stages, indices)
        shortened = last + 1 < self.num_stages
        for number in range(last + 2, self.num_stages + 1):
            for part in STAGE_PARTS:
                delattr(self, f"{part}{number}")
        self.num_stages = last + 1
        self.num_features = self.head_hidden_size = self.feature_info[last]["num_chs"]
        if prune_norm or shortened:
            self.norm = nn.Identity()
        if prune_head or shortened:
            self._prune_head()
        return chosen

    def get_classifier(self) -> nn.Module:
        """The linear classifier, or an identity where there is none."""
        return self.head

    def reset_classifier(self, num_classes: int, global_pool: str | None = None) -> None:
        """Replaces the classifier by a new one.

        Args:
            num_classes: Its outputs; 0 for none.
            global_pool: timm's name of the pooling before it; unchanged if None.
        """
        pool = self.global_pool.pool_type if global_pool is None else global_pool
        self._make_head(num_classes, pool)
        self.head.to(next(self.parameters()))

    def set_grad_checkpointing(self, enable: bool = True) -> None:
        """Whether training recomputes each block in the backward pass to save memory."""
        self.grad_checkpointing = enable

    def group_matcher(self, coarse: bool = False) -> dict[str, Any]:
        """Patterns that group parameters by depth, for layer-wise learning rates."""
        by_block = [
            (r"^patch_embed(\d+)", (0,)),
            (r"^blocks(\d+)\.(\d+)", None),
            (r"^norm(\d+)", (99999,)),
        ]
        by_stage = r"^(?:patch_embed|blocks|norm)(\d+)"
        return {"stem": r"^patch_embed1", "blocks": by_stage if coarse else by_block}

    def _forward_stage(self, x: Tensor, number: int) -> Tensor:
        embed, blocks, norm = self._parts(number)
        normed: Tensor = norm(self._run(blocks, embed(x)))
        return normed

    def _feature_map(self, x: Any) -> Tensor:
        """The map in what a stage gives: the first stream where a family has more than one."""
        feature_map: Tensor = x[0] if isinstance(x, tuple) else x
        return feature_map

    def _prune_head(self) -> None:
        """Removes the classifier and, in some families, what lies before it."""
        self.reset_classifier(0, "")

    def _normed_map(self, x: Tensor) -> Tensor:
        normed: Tensor = x if self.norm_pooled else self.norm(x)
        return normed

    def _parts(self, number: int) -> Stage:
        embed, blocks, norm = (getattr(self, f"{part}{number}") for part in STAGE_PARTS)
        return embed, blocks, norm

    def _run(self, blocks: nn.Sequential, x: Tensor) -> Tensor:
        recomputing = self.grad_checkpointing and self.training
        ran: Tensor = checkpoint_seq(blocks, x) if recomputing else blocks(x)
        return ran

    def _make_head(self, num_classes: int, global_pool: str) -> None:
        self.num_classes = num_classes
        self.global_pool, self.head = create_classifier(
            self.head_hidden_size, num_classes, pool_type=global_pool
        )
        if isinstance(self.head, nn.Linear):
            nn.init.trunc_normal_(self.head.weight, std=0.02)
            nn.init.zeros_(self.head.bias)
