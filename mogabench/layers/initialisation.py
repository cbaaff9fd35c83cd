"""Initial weights as the released networks draw them; each is a function for ``Module.apply``."""

from __future__ import annotations

import math

from torch import nn

LINEAR_STD = 0.02


def init_linear(module: nn.Module) -> None:
    """Linear layers: a normal cut off at two, zero bias."""
    if isinstance(module, nn.Linear):
        nn.init.trunc_normal_(module.weight, std=LINEAR_STD)
        if module.bias is not None:
            nn.init.zeros_(module.bias)


def init_linear_and_conv(module: nn.Module) -> None:
    """Linear layers and convolutions: a normal cut off at two, zero bias."""
    if isinstance(module, nn.Linear | nn.Conv2d):
        nn.init.trunc_normal_(module.weight, std=LINEAR_STD)
        if module.bias is not None:
            nn.init.zeros_(module.bias)


def init_linear_and_he_conv(module: nn.Module) -> None:
    """Linear layers as above; convolutions: He's normal over the whole fan-out, zero bias."""
    init_linear(module)
    if isinstance(module, nn.Conv2d):
        nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
        if module.bias is not None:
            nn.init.zeros_(module.bias)


def init_conv(module: nn.Module) -> None:
    """Convolutions: He's normal over the fan-out of a group, zero bias."""
    if isinstance(module, nn.Conv2d):
        fan_out = math.prod(module.kernel_size) * module.out_channels // module.groups
        nn.init.normal_(module.weight, std=math.sqrt(2 / fan_out))
        if module.bias is not None:
            nn.init.zeros_(module.bias)
