"""The sigmoid focal loss (Lin et al., ICCV 2017)."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.functional import one_hot
from torchvision.ops import sigmoid_focal_loss

from mogabench.errors import UserError
from mogabench.ops.precision import widen


def sigmoid_focal_loss_forward(
    logits: Tensor, target: Tensor, weight: Tensor, output: Tensor, *, gamma: float, alpha: float
) -> None:
    """Writes each logit's loss into ``output``.

    Args:
        logits: ``(N, C)``.
        target: Each row's class ``(N,)``; C for the background.
        weight: Weights of the classes; empty for none.
        output: Gets the losses ``(N, C)``.
        gamma: Exponent that plays easy rows down.
        alpha: Weight of the positive logits; the negative ones have ``1 - alpha``.

    Raises:
        UserError: There are weights.
    """
    (source,) = widen(logits)
    output.copy_(_loss(source, target, weight, gamma, alpha))


def sigmoid_focal_loss_backward(
    logits: Tensor, target: Tensor, weight: Tensor, grad: Tensor, *, gamma: float, alpha: float
) -> None:
    """Writes the gradient ``(N, C)`` of the summed losses into ``grad``; see the forward.

    Raises:
        UserError: There are weights.
    """
    with torch.enable_grad():
        (source,) = widen(logits.detach())
        source.requires_grad_()
        loss = _loss(source, target, weight, gamma, alpha).sum()
    grad.copy_(torch.autograd.grad(loss, source)[0])


def _loss(logits: Tensor, target: Tensor, weight: Tensor, gamma: float, alpha: float) -> Tensor:
    if weight.numel():
        raise UserError("the focal loss with a weight for each class needs the compiled mmcv")
    classes = logits.shape[1]
    positive = one_hot(target, classes + 1)[:, :classes].to(logits)
    loss: Tensor = sigmoid_focal_loss(logits, positive, alpha=alpha, gamma=gamma)
    return loss
