import pytest
import torch
from mmcv.ops import RoIAlign, roi_align
from torch.autograd import gradcheck

from mogabench.errors import UserError


@pytest.mark.parametrize("sampling_ratio", [0, 2])
@pytest.mark.parametrize("aligned", [True, False])
def test_the_average_of_a_slope_is_its_value_in_the_middle(
    device: torch.device, aligned: bool, sampling_ratio: int
) -> None:
    y, x = torch.meshgrid(torch.arange(20.0), torch.arange(30.0), indexing="ij")
    slope = (2 * x + 5 * y + 1)[None, None].to(device)
    left, top, right, bottom, scale = 8.0, 12.0, 88.0, 60.0, 0.25
    regions = torch.tensor([[0, left, top, right, bottom]], device=device)
    found = RoIAlign((3, 4), scale, sampling_ratio, aligned=aligned)(slope, regions)

    shift = 0.5 if aligned else 0.0
    columns = left * scale - shift + (torch.arange(4) + 0.5) * (right - left) * scale / 4
    rows = top * scale - shift + (torch.arange(3) + 0.5) * (bottom - top) * scale / 3
    expected = 2 * columns + 5 * rows[:, None] + 1
    torch.testing.assert_close(found[0, 0].cpu(), expected)


def test_gradient(device: torch.device) -> None:
    source = torch.rand(2, 2, 6, 7, dtype=torch.float64, device=device, requires_grad=True)
    regions = torch.tensor([[0, 1.0, 2, 9, 11], [1, 0, 0, 5, 6]], device=device).double()
    assert gradcheck(lambda x: roi_align(x, regions, (2, 3), 0.5, 2, "avg", True), source)


def test_half_precision_is_averaged_in_float32(device: torch.device) -> None:
    source = torch.rand(1, 3, 8, 8, device=device).bfloat16().requires_grad_()
    regions = torch.tensor([[0, 0.0, 0, 6, 6]], device=device).bfloat16()
    found = roi_align(source, regions, 2, 1.0, 2, "avg", True)
    found.float().sum().backward()
    wide = roi_align(source.detach().float(), regions.float(), 2, 1.0, 2, "avg", True)
    assert torch.equal(found, wide.bfloat16())
    assert source.grad is not None
    assert source.grad.sum().item() == pytest.approx(found.numel(), rel=1e-2)


def test_the_greatest_sample_is_refused(device: torch.device) -> None:
    with pytest.raises(UserError, match="pool_mode='max' needs the compiled mmcv"):
        RoIAlign(2, pool_mode="max")(torch.rand(1, 1, 4, 4), torch.zeros(1, 5))
