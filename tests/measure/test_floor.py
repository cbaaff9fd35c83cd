"""The floor of layers worked out by hand, and of training by PyTorch's own counter."""

import pytest
import timm
import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from mogabench.measure.floor import Work, floor_seconds, roof, work_of
from mogabench.measure.settings import Rates


def test_work_of_a_layer():
    with torch.device("meta"):
        layer, sample = nn.Conv2d(3, 8, 3, padding=1, bias=False), torch.empty(1, 3, 10, 10)
        found = work_of(layer.eval(), sample)
    # 216 weights are used at each of 100 places; 300 numbers come in and 800 go out.
    assert found == Work(operations=2 * 216 * 100, elements=300 + 800, weights=216)


@pytest.mark.parametrize("name", ["resnet18", "deit_tiny_patch16_224"])
def test_operations_of_training_are_those_of_pytorchs_counter(name):
    """Of networks without grouped convolutions, whose weight gradients that one counts in full."""
    with torch.device("meta"):
        sample = torch.empty(1, 3, 224, 224)
        ours = work_of(timm.create_model(name).eval(), sample).of_training.operations
        with FlopCounterMode(display=False) as counter:
            timm.create_model(name).eval()(sample).sum().backward()
    # The gradient of the image, which we count, is not computed.
    assert ours == pytest.approx(counter.get_total_flops(), rel=0.03)
    assert ours >= counter.get_total_flops()


@pytest.mark.parametrize(
    ("batch_size", "dtype", "seconds"),
    [
        (1, "float32", 0.76),  # (90 + 100) numbers of 4 bytes at 1000 bytes a second
        (1, "bfloat16", 0.5),  # 50 operations at 100 a second take longer than 380 bytes
        (4, "float32", 2.0),  # the weights are read once for all four
    ],
)
def test_floor_is_the_longer_of_computing_and_moving(batch_size, dtype, seconds):
    work, rates = Work(operations=50, elements=90, weights=100), Rates(matrix=100.0, copy=1000.0)
    assert floor_seconds(work, batch_size, dtype, rates) == pytest.approx(seconds)


def test_roof_takes_the_better_rates_and_tells_their_change():
    work = Work(operations=100, elements=0, weights=0)
    found = roof(work, 2, "float32", Rates(matrix=80.0, copy=9.0), Rates(matrix=100.0, copy=7.0))
    assert (found.matrix_rate, found.copy_rate, found.floor) == (100.0, 9.0, 2000.0)
    assert found.rate_change == pytest.approx(25)
