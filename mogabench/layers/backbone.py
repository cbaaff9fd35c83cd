"""timm's interface for networks that are a row of stages, each a row of parts."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, NoReturn, TypedDict

from timm.layers import SelectAdaptivePool2d, create_classifier
from timm.models._features import feature_take_indices
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from mogabench.errors import UserError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence


class HeadOptions(TypedDict, total=False):
    """What the constructor of every family takes, beside its own, for ``Backbone``.

    Attributes:
        num_classes: Outputs of the classifier, 1000 if not given; 0 for none.
        global_pool: timm's name of the pooling before the classifier, average if not given; empty
            for none.
    """

    num_classes: int
    global_pool: str


class Unscriptable:
    """A network that ``torch.jit.script`` cannot take; it would fail somewhere inside."""

    def __prepare_scriptable__(self) -> NoReturn:
        """Refuses ``torch.jit.script``, which asks for this.

        Raises:
            UserError: Always.
        """
        raise UserError(
            f"{type(self).__name__} cannot go through torch.jit.script, which PyTorch has "
            "deprecated: torch.export and torch.compile take it"
        )


class Backbone(Unscriptable, nn.Module):
    """Stages, then pooling and a linear classifier.

    Args:
        stages: The parts of each stage by their names within the network, the finest stage first.
            What the last part gives is the stage's feature map.
        dims: Channels of each stage's map.
        strides: Pixels of the image per cell of each stage's map.
        in_chans: Channels of the images.
        num_classes: Outputs of the classifier; 0 for none.
        global_pool: timm's name of the pooling before the classifier; empty for none.
        norm: What the last feature map goes through before it is classified, and only then.
        norm_pooled: Whether the norm comes after the pooling.
        num_features: Channels after the norm; those of the last stage if None.
        head_hidden_size: Channels before the classifier; ``num_features`` if None.
    """

    classifier: ClassVar[str] = "head"
    """The name of the classifier."""

    norm: nn.Module
    global_pool: SelectAdaptivePool2d

    def __init__(
        self,
        stages: Sequence[Mapping[str, nn.Module]],
        dims: Sequence[int],
        strides: Sequence[int],
        *,
        in_chans: int,
        num_classes: int = 1000,
        global_pool: str = "avg",
        norm: nn.Module | None = None,
        norm_pooled: bool = False,
        num_features: int | None = None,
        head_hidden_size: int | None = None,
    ) -> None:
        super().__init__()
        for stage in stages:
            for name, part in stage.items():
                self.add_module(name, part)
        self.norm = nn.Identity() if norm is None else norm
        self.norm_pooled = norm_pooled
        self.stage_parts = [tuple(stage) for stage in stages]
        self.feature_info: list[dict[str, Any]] = [
            {"num_chs": dim, "reduction": stride, "module": parts[-1]}
            for dim, stride, parts in zip(dims, strides, self.stage_parts, strict=True)
        ]
        self.grad_checkpointing = False
        self.in_chans = in_chans
        self.num_features = num_features or dims[-1]
        self.head_hidden_size = head_hidden_size or self.num_features
        self._make_head(num_classes, global_pool)

    @property
    def num_stages(self) -> int:
        """How many stages there are."""
        return len(self.stage_parts)

    def forward(self, x: Tensor) -> Tensor:
        """Maps images ``(N, C, H, W)`` to logits ``(N, num_classes)``."""
        return self.forward_head(self.forward_features(x))

    def forward_features(self, x: Tensor) -> Tensor:
        """Maps images ``(N, C, H, W)`` to the last map ``(N, num_features, H', W')``."""
        for number in range(1, self.num_stages + 1):
            x = self._forward_stage(x, number)
        return self._normed_map(x)

    def forward_head(self, x: Tensor, pre_logits: bool = False) -> Tensor:
        """Pools the last feature map and, unless ``pre_logits``, classifies it."""
        pooled: Tensor = self.global_pool(x)
        if self.norm_pooled and self.global_pool.pool_type:
            pooled = self.norm(pooled)
        return pooled if pre_logits else getattr(self, self.classifier)(pooled)

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
        given = x
        stages = last + 1 if stop_early else self.num_stages
        for index in range(stages):
            given, x = x, self._forward_stage(x, index + 1)
            if index in chosen:
                maps.append(self._feature_map(x))
        if intermediates_only:
            return maps
        return self._last_features(given, x) if stages == self.num_stages else x, maps

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
        for parts in self.stage_parts[last + 1 :]:
            for name in parts:
                delattr(self, name)
        self.stage_parts = self.stage_parts[: last + 1]
        if prune_norm or shortened:
            self.norm = nn.Identity()
            self.num_features = self.feature_info[last]["num_chs"]
        if prune_head or shortened:
            self.head_hidden_size = self.num_features
            self._prune_head()
        return chosen

    def get_classifier(self) -> nn.Module:
        """The linear classifier, or an identity where there is none."""
        classifier: nn.Module = getattr(self, self.classifier)
        return classifier

    def reset_classifier(self, num_classes: int, global_pool: str | None = None) -> None:
        """Replaces the classifier by a new one.

        Args:
            num_classes: Its outputs; 0 for none.
            global_pool: timm's name of the pooling before it; unchanged if None.
        """
        pool = self.global_pool.pool_type if global_pool is None else global_pool
        self._make_head(num_classes, pool)
        self.get_classifier().to(next(self.parameters()))

    def set_grad_checkpointing(self, enable: bool = True) -> None:
        """Whether training recomputes each part in the backward pass to save memory."""
        self.grad_checkpointing = enable

    def group_matcher(self, coarse: bool = False) -> dict[str, Any]:
        """Patterns that group parameters by depth, for layer-wise learning rates: by part."""
        first, *others = (name for parts in self.stage_parts for name in parts)
        blocks = [(rf"^{name}\.", (depth,)) for depth, name in enumerate(others)]
        return {"stem": rf"^{first}\.", "blocks": blocks}

    def _forward_stage(self, x: Tensor, number: int) -> Tensor:
        for name in self.stage_parts[number - 1]:
            part = getattr(self, name)
            x = checkpoint(part, x, use_reentrant=False) if self._recomputing else part(x)
        return x

    @property
    def _classifier_inputs(self) -> int:
        return self.head_hidden_size

    @property
    def _recomputing(self) -> bool:
        return self.grad_checkpointing and self.training

    def _feature_map(self, x: Any) -> Tensor:
        """The map in what a stage gives: the first stream where a family has more than one."""
        feature_map: Tensor = x[0] if isinstance(x, tuple) else x
        return feature_map

    def _last_features(self, given: Tensor, x: Tensor) -> Tensor:
        """What ``forward_features`` makes of what the last stage was given and what it gave."""
        return self._normed_map(x)

    def _normed_map(self, x: Tensor) -> Tensor:
        normed: Tensor = x if self.norm_pooled else self.norm(x)
        return normed

    def _prune_head(self) -> None:
        """Removes the classifier and, in some families, what lies before it."""
        self.reset_classifier(0, "")

    def _make_head(self, num_classes: int, global_pool: str) -> None:
        self.num_classes = num_classes
        self.global_pool, head = create_classifier(
            self._classifier_inputs, num_classes, pool_type=global_pool
        )
        self.add_module(self.classifier, head)
