"""A network's outputs and gradients on a device, plain and under autocast, against the CPU's.

On the device it is in channels_last and goes through ``torch.compile`` without a compiler's code:
in training the project's kernels run only in what is compiled.
"""

from __future__ import annotations

import sys
from contextlib import nullcontext

import timm
import torch
from bench import open_bench, randomised
from torch import Tensor, nn

import mogabench.models  # noqa: F401  (registers MogaNet with timm)


def main() -> bool:
    bench = open_bench()
    torch.backends.cudnn.allow_tf32 = False
    torch.manual_seed(0)
    model, count, size = ("moganet_tiny", 8, 128) if bench.on_gpu else ("test_convnext", 2, 64)
    network = randomised(timm.create_model(model, num_classes=10)).train()
    images, labels = torch.randn(count, 3, size, size), torch.arange(count)
    # Half precision's backward pass takes a CPU minutes.
    dtypes = (None, torch.bfloat16, *([torch.float16] if bench.on_gpu else []))
    missing = {_name(dtype): dtype for dtype in dtypes if not bench.knows(_name(dtype))}
    if not missing:
        return False
    expected = _outputs_and_gradient(network, images, labels, None)
    network = network.to(bench.device, memory_format=torch.channels_last)
    network.compile(backend="eager")
    images = images.to(bench.device, memory_format=torch.channels_last)
    labels = labels.to(bench.device)
    for name, dtype in missing.items():
        with bench.attempt(name):
            found = _outputs_and_gradient(network, images, labels, dtype)
            outputs, gradients = (
                float((one.cpu() - other).norm() / other.norm())
                for one, other in zip(found, expected, strict=True)
            )
            bench.note(name, outputs_error=outputs, gradient_error=gradients)
    return bool(bench.failed)


def _name(dtype: torch.dtype | None) -> str:
    text = str(dtype or torch.float32).removeprefix("torch.")
    return f"{text}, NHWC, against float32 on the CPU"


def _outputs_and_gradient(
    network: nn.Module, images: Tensor, labels: Tensor, dtype: torch.dtype | None
) -> tuple[Tensor, Tensor]:
    """The logits and the gradient of all weights, as one vector; the loss is not scaled."""
    network.zero_grad()
    with torch.autocast(images.device.type, dtype) if dtype else nullcontext():
        logits = network(images)
    nn.functional.cross_entropy(logits.float(), labels).backward()
    gradients = [value.grad.flatten() for value in network.parameters() if value.grad is not None]
    return logits.detach().float(), torch.cat(gradients).float()


if __name__ == "__main__":
    sys.exit(main())
