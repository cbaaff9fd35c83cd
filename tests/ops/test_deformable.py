import torch
from mmcv.ops import deform_conv2d, modulated_deform_conv2d
from torch import Tensor
from torch.autograd import gradcheck
from torch.nn.functional import conv2d

SHAPE = (2, 4, 7, 6)


def _random(*shape: int, device: torch.device) -> Tensor:
    return torch.rand(*shape, dtype=torch.float64, device=device)


def test_without_offsets_it_is_a_convolution(device: torch.device) -> None:
    image, weight = _random(*SHAPE, device=device), _random(6, 2, 3, 3, device=device)
    offset = torch.zeros(2, 2 * 18, 4, 3, dtype=torch.float64, device=device)
    found = deform_conv2d(image, offset, weight, 2, 1, 1, 2, 2)
    torch.testing.assert_close(found, conv2d(image, weight, stride=2, padding=1, groups=2))


def test_offsets_move_down_then_right(device: torch.device) -> None:
    image, weight = _random(*SHAPE, device=device), _random(3, 4, 1, 1, device=device)
    offset = torch.zeros(2, 2, 7, 6, dtype=torch.float64, device=device)
    offset[:, 0], offset[:, 1] = 1, 2
    found = deform_conv2d(image, offset, weight)
    torch.testing.assert_close(found[..., :-1, :-2], conv2d(image, weight)[..., 1:, 2:])


def test_the_mask_weighs_samples_and_not_the_bias(device: torch.device) -> None:
    image, weight = _random(*SHAPE, device=device), _random(3, 4, 3, 3, device=device)
    bias = _random(3, device=device)
    offset = torch.zeros(2, 18, 7, 6, dtype=torch.float64, device=device)
    mask = torch.full((2, 9, 7, 6), 0.5, dtype=torch.float64, device=device)
    found = modulated_deform_conv2d(image, offset, mask, weight, bias, 1, 1)
    expected = 0.5 * conv2d(image, weight, padding=1) + bias[:, None, None]
    torch.testing.assert_close(found, expected)


def test_gradients(device: torch.device) -> None:
    def leaf(*shape: int) -> Tensor:
        return _random(*shape, device=device).requires_grad_()

    image, weight, bias = leaf(1, 4, 4, 5), leaf(2, 2, 2, 2), leaf(2)
    offset, mask = leaf(1, 2 * 8, 3, 4), leaf(1, 2 * 4, 3, 4)  # stays between the pixels
    assert gradcheck(lambda *args: deform_conv2d(*args, 1, 0, 1, 2, 2), (image, offset, weight))
    assert gradcheck(
        lambda *args: modulated_deform_conv2d(*args, 1, 0, 1, 2, 2),
        (image, offset, mask, weight, bias),
    )
