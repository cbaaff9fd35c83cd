import pytest
import torch
from torch import Tensor

from mogabench.ops.layout import pixel_stride


@pytest.mark.parametrize(
    ("x", "stride"),
    [
        (torch.zeros(2, 3, 4, 5), None),
        (torch.zeros(2, 3, 4, 5).to(memory_format=torch.channels_last), 3),
        (torch.zeros(2, 9, 4, 5).to(memory_format=torch.channels_last)[:, 2:5], 9),
        (torch.zeros(2, 3, 4, 6).to(memory_format=torch.channels_last)[..., :5], None),
        (torch.zeros(2, 3, 1, 1), 3),
        (torch.zeros(0, 3, 2, 2).to(memory_format=torch.channels_last), None),
    ],
)
def test_pixel_stride(x: Tensor, stride: int | None) -> None:
    assert pixel_stride(x) == stride
