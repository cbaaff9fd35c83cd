"""Registering the networks of a family with timm, which then creates them by name."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

from timm.models import build_model_with_cfg, generate_default_cfgs, register_model

from mogabench.errors import UserError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from torch import nn

FOUR_STAGES = {"out_indices": (0, 1, 2, 3)}


def register_family(
    module: str,
    network: Callable[..., nn.Module],
    sizes: Mapping[str, Mapping[str, Any]],
    *,
    features: Mapping[str, Any] = FOUR_STAGES,
    checkpoint_filter_fn: Callable[..., Any] | None = None,
    **cfg: Any,
) -> None:
    """Registers networks that differ in their arguments alone; may be called again for others.

    Args:
        module: The family's ``__name__``, by which timm groups its models.
        network: Class of the networks, or a function that builds one.
        sizes: By name of the model, the arguments of its network. ``timm.create_model`` takes
            further ones, and these anew.
        features: timm's ``feature_cfg``: which feature maps ``features_only`` gives, and how.
        checkpoint_filter_fn: Translates the names of released weights, as timm defines it.
        **cfg: timm's ``pretrained_cfg`` of these models, where it is not timm's default.
    """
    namespace = vars(sys.modules[module])  # where timm looks for default_cfgs
    cfgs = generate_default_cfgs({f"{name}.untrained": cfg for name in sizes})
    namespace.setdefault("default_cfgs", {}).update(cfgs)
    for name, arguments in sizes.items():
        entrypoint = _entrypoint(network, name, arguments, features, checkpoint_filter_fn)
        entrypoint.__module__ = module
        namespace[name] = register_model(entrypoint)


def _entrypoint(
    network: Callable[..., nn.Module],
    name: str,
    arguments: Mapping[str, Any],
    features: Mapping[str, Any],
    checkpoint_filter_fn: Callable[..., Any] | None,
) -> Callable[..., nn.Module]:
    def create(pretrained: bool = False, **kwargs: Any) -> nn.Module:
        own = kwargs.get("pretrained_cfg") or kwargs.get("pretrained_cfg_overlay")
        if pretrained and not own:
            raise UserError(
                f"timm downloads no weights of {name}: 'mogabench list weights' lists the released "
                "files, and mogabench.checkpoints.load_weights(model, FILE) loads one"
            )
        model: nn.Module = build_model_with_cfg(
            network,
            name,
            pretrained,
            pretrained_filter_fn=checkpoint_filter_fn,
            feature_cfg=dict(features),  # timm takes entries out of it
            **{**arguments, **kwargs},
        )
        return model

    create.__name__ = create.__qualname__ = name
    return create
