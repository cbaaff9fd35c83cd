"""What a training can have started from."""

from typing import Literal, get_args

Pretraining = Literal["none", "in1k", "in21k"]
"""Nothing, or weights that were trained on ImageNet-1K or ImageNet-21K."""

BY_DATA: dict[str, Pretraining] = {"imagenet-1k": "in1k"}
"""What weights bring that were trained here on a known data set."""

PRETRAININGS: tuple[Pretraining, ...] = get_args(Pretraining)
