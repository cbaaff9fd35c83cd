"""The training step: what it computes, in which type and layout, and on which data."""

from dataclasses import replace

import pytest
import torch
from torch import nn
from torch.nn import functional
from torch.optim.optimizer import register_optimizer_step_post_hook

from mogabench.engine.model import Trained
from mogabench.measure.settings import Settings
from mogabench.measure.steps import inference_step, training_step
from mogabench.subject import Subject
from mogabench.tasks import get_task

SETTINGS = Settings(train_step=True, seed=3)


class Regression(Trained):
    """Learns the mean of a convolution's output."""

    def loss(self, images, means):
        out = self.run(images)
        self.seen = out.dtype, self.network.weight.is_contiguous(memory_format=self.layout)
        return {"loss": (out.float().mean((1, 2, 3)) - means).square().mean()}


@pytest.fixture
def updates():
    """The first moments of AdamW after each of its steps."""
    found = []
    hook = register_optimizer_step_post_hook(
        lambda optimizer, *_: found.append(
            [state["exp_avg"].clone() for state in optimizer.state.values()]
        )
    )
    yield found
    hook.remove()


def run_steps(settings, count):
    """The model after some steps, and its batch."""
    made = []

    def example(batch_size):
        images, means = torch.randn(batch_size, 3, 8, 8), torch.arange(float(batch_size))
        made.append((Regression(nn.Conv2d(3, 4, 3)), {"images": images, "means": means}))
        return made[0]

    step = training_step(example, settings)(5)
    for _ in range(count):
        step()
    return made[0]


def test_a_step_is_a_forward_a_backward_and_an_update_by_adamw(updates):
    model, batch = run_steps(SETTINGS, 2)
    weight, bias = model.network.weight, model.network.bias
    out = functional.conv2d(batch["images"], weight, bias).mean((1, 2, 3))
    gradients = torch.autograd.grad((out - batch["means"]).square().mean(), (weight, bias))
    # The average is 0.9 times itself and 0.1 times the gradient, which stays the same.
    for gradient, once, twice in zip(gradients, *updates, strict=True):
        torch.testing.assert_close(once, 0.1 * gradient)
        torch.testing.assert_close(twice, 0.19 * gradient)


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
@pytest.mark.parametrize("channels_last", [False, True])
def test_weights_stay_in_float32_and_autocast_has_the_type_asked_for(dtype, channels_last):
    settings = replace(SETTINGS, dtype=dtype, channels_last=channels_last)
    model, _ = run_steps(settings, 1)
    assert model.seen == (getattr(torch, dtype), True)
    assert model.network.weight.dtype == torch.float32 and model.training


@pytest.mark.parametrize(
    ("runtime", "weights"), [("torch", torch.bfloat16), ("openvino", torch.float32)]
)
def test_what_pytorch_computes_of_an_inference_is_in_the_type_asked_for(runtime, weights):
    made = []

    def build():
        made.append(nn.Linear(3, 2))
        return made[0]

    settings = Settings(dtype="bfloat16", runtime=runtime)
    step = inference_step(build, lambda size: (torch.ones(size, 3),), settings)(4)
    assert step().dtype == torch.bfloat16
    assert made[0].weight.dtype == weights


@pytest.mark.parametrize(
    ("task", "backbone", "size"),
    [
        ("classification", "test_resnet", (32, 32)),
        ("pose", "test_resnet", (64, 32)),
        ("video", "incepu", (3, 2, 16, 16)),
    ],
)
def test_example_of_a_task_trains_every_weight(task, backbone, size):
    subject = Subject(
        task=task, method=get_task(task).methods[0], backbone=backbone, input_size=size
    )
    model, batch = get_task(task).training_example(subject, 2)
    model.train()
    [loss] = model.loss(**batch).values()
    loss.backward()
    assert loss.isfinite()
    assert [name for name, weight in model.network.named_parameters() if weight.grad is None] == []


def test_loss_of_classification_is_the_cross_entropy():
    subject = Subject(
        task="classification", method="classifier", backbone="test_resnet", input_size=(32, 32)
    )
    model, batch = get_task("classification").training_example(subject, 4)
    scores = model.eval().network(batch["inputs"])
    right = scores.log_softmax(1)[range(4), batch["labels"]]
    torch.testing.assert_close(model.loss(**batch)["loss"], -right.mean())
    assert model.network.num_classes == 1000
