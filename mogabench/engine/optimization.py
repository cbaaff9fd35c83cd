"""timm's optimizers, gradient scaling and weight averaging."""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING, Any

from mmengine.hooks import EMAHook
from mmengine.model import BaseAveragedModel
from timm.optim import create_optimizer_v2, get_optimizer_info, list_optimizers
from torch import nn

from mogabench.engine.finite import CheckedAmpOptimWrapper, CheckedOptimWrapper
from mogabench.engine.parameters import parameter_groups
from mogabench.errors import UserError, unknown
from mogabench.recipes.schedules import OneCycleSchedule

if TYPE_CHECKING:
    from mmengine.optim import OptimWrapper
    from mmengine.runner import Runner
    from timm.optim import OptimInfo
    from torch import Tensor

    from mogabench.recipes import Recipe
    from mogabench.recipes.schema import Ema, Optimizer


def optim_wrapper(
    network: nn.Module, recipe: Recipe, *, amp: str | None, accumulation: int
) -> OptimWrapper:
    """The recipe's optimizer; norms and what networks name have no weight decay.

    Args:
        network: What to train; the ``no_weight_decay()`` of its parts adds to the exceptions.
        recipe: Name, rates and clipping.
        amp: ``float16`` scales the loss, which its small range needs.
        accumulation: Batches per step.

    Raises:
        UserError: timm has no optimizer of that name, it has another number of betas or none, has
            no eps, or lacks the momentum that OneCycle moves; or the network has no layers to decay
            by.
    """
    settings = recipe.optimizer
    known = {name: info for name in list_optimizers() if _is_own(info := get_optimizer_info(name))}
    if settings.name not in known:
        raise unknown("optimizer", settings.name, known)
    kind = known[settings.name]
    given: dict[str, Any] = {"eps": settings.eps} if settings.eps is not None else {}
    if kind.has_betas:
        _check_betas(settings, kind)
        given["betas"] = settings.betas
    elif settings.betas != type(settings).model_fields["betas"].default:
        raise UserError(
            f"the optimizer {settings.name} has no betas: leave {[*settings.betas]} out"
        )
    if settings.eps is not None and not kind.has_eps:
        raise UserError(f"the optimizer {settings.name} has no eps: leave {settings.eps} out")
    if "fused" in inspect.signature(kind.opt_class).parameters:
        given["fused"] = True
    groups = parameter_groups(network, settings)
    optimizer = create_optimizer_v2(groups, settings.name, settings.lr, weight_decay=0.0, **given)
    has_momentum = not {"betas", "momentum"}.isdisjoint(optimizer.defaults)
    if isinstance(recipe.schedule, OneCycleSchedule) and not has_momentum:
        raise UserError(
            f"the schedule onecycle moves the momentum, which {settings.name} does not have: "
            "take adam, adamw or sgd"
        )
    options: dict[str, Any] = {
        "optimizer": optimizer,
        "accumulative_counts": accumulation,
        "clip_grad": {"max_norm": settings.clip_grad} if settings.clip_grad else None,
    }
    half = amp == "float16"
    wrapper = (
        CheckedAmpOptimWrapper(dtype=amp, **options) if half else CheckedOptimWrapper(**options)
    )
    wrapper.clip_func = _clip_norm
    return wrapper


def _is_own(kind: OptimInfo) -> bool:
    """Whether an optimizer is PyTorch's or timm's own, and needs no more than gradients."""
    return not isinstance(kind.opt_class, str) and not kind.second_order


def _check_betas(settings: Optimizer, kind: OptimInfo) -> None:
    if len(settings.betas) != kind.num_betas:
        own = inspect.signature(kind.opt_class).parameters["betas"].default
        raise UserError(
            f"the optimizer {settings.name} has {kind.num_betas} betas, not {[*settings.betas]}; "
            f"--set 'optimizer.betas={[*own]}' sets its defaults"
        )


def _clip_norm(parameters: list[nn.Parameter], max_norm: float) -> None:
    """Clips without telling mmengine the norm, for which each step would wait for the device."""
    nn.utils.clip_grad_norm_(parameters, max_norm)


class RampedAverage(BaseAveragedModel):
    """An average of the weights that remembers longer and longer (Appendix C.4).

    After step ``t`` of ``T``, counted from 0, with ``d0`` and ``d1`` the first and the last decay,

        d(t) = 1 - (1 - d0) * ((1 - d1) / (1 - d0)) ** (t / (T - 1))
        average = d(t) * average + (1 - d(t)) * weights

    so the part that is renewed, ``1 - d``, shrinks exponentially; the average starts as the
    weights after step 0. Running statistics of norms are averaged as well, as in timm: the ramp is
    what the paper has against their being inaccurate.

    Args:
        model: What to average.
        total: ``T``.
        first: ``d0``.
        last: ``d1``.
    """

    def __init__(self, model: nn.Module, *, total: int, first: float, last: float) -> None:
        super().__init__(model, update_buffers=True)
        # A mask of -inf stays as it is: the average of two is not a number.
        state = self.module.state_dict().items()
        self.avg_parameters = {name: value for name, value in state if value.isfinite().all()}
        self.total, self.first, self.last = total, first, last

    def decay(self, step: int) -> float:
        """The decay after a step, counted from 0."""
        shrink = (1 - self.last) / (1 - self.first)
        done = step / max(self.total - 1, 1)
        return float(1 - (1 - self.first) * shrink**done)

    def avg_func(self, averaged_param: Tensor, source_param: Tensor, steps: Tensor) -> None:
        """Moves the average towards the weights, in place."""
        averaged_param.lerp_(source_param, 1 - self.decay(int(steps)))


class AverageWeights(EMAHook):
    """mmengine's hook that keeps and evaluates an average, with the training's length filled in.

    Args:
        ema: The first and the last decay.
    """

    def __init__(self, ema: Ema) -> None:
        super().__init__(ema_type=RampedAverage, first=ema.decay_start, last=ema.decay)

    def before_run(self, runner: Runner) -> None:
        """Makes the average as a copy of the model."""
        self.ema_cfg["total"] = runner.max_iters
        super().before_run(runner)
