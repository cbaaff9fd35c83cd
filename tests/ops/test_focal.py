import pytest
import torch
from mmcv.ops import sigmoid_focal_loss
from torch.autograd import gradcheck

from mogabench.errors import UserError


def test_loss_of_each_logit(device: torch.device) -> None:
    logits = torch.tensor([[0.3, -1.2, 2.0], [0.0, 1.0, -3.0]], device=device)
    target = torch.tensor([1, 3], device=device)  # the second row is background
    found = sigmoid_focal_loss(logits, target, 2.0, 0.25, None, "none")

    p = 1 / (1 + torch.exp(-logits.cpu()))
    expected = -0.75 * p**2 * torch.log(1 - p)
    expected[0, 1] = -0.25 * (1 - p[0, 1]) ** 2 * torch.log(p[0, 1])
    torch.testing.assert_close(found.cpu(), expected)


@pytest.mark.parametrize("reduction", ["none", "mean", "sum"])
def test_gradient(device: torch.device, reduction: str) -> None:
    logits = torch.randn(5, 4, dtype=torch.float64, device=device, requires_grad=True)
    target = torch.tensor([0, 4, 3, 2, 4], device=device)
    assert gradcheck(lambda x: sigmoid_focal_loss(x, target, 2.0, 0.25, None, reduction), logits)


def test_a_sure_logit_costs_no_infinity(device: torch.device) -> None:
    logits = torch.tensor([[200.0, -200.0]], device=device, requires_grad=True)
    sigmoid_focal_loss(logits, torch.tensor([1], device=device)).backward()
    assert logits.grad is not None
    assert logits.grad.isfinite().all()


def test_class_weights_are_refused() -> None:
    with pytest.raises(UserError, match="weight for each class"):
        sigmoid_focal_loss(torch.zeros(1, 2), torch.zeros(1).long(), 2.0, 0.25, torch.ones(2))
