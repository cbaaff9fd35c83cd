"""What a job says of precision, memory layout and compilation reaches the network."""

import pytest
import torch

from mogabench.tasks.classification import TASK


@pytest.mark.parametrize("amp", [None, "bfloat16"])
@pytest.mark.parametrize("asked", [False, True])
def test_a_network_runs_as_its_job_says(amp, asked, job, monkeypatch):
    compiled, seen = [], []
    monkeypatch.setattr(
        "mogabench.engine.model.compile_for_training", lambda network, **_: compiled.append(network)
    )
    wanted = job(amp=amp, channels_last=asked, compile=asked)
    model = TASK.prepare(wanted).model
    model.adapt(wanted)
    model.network.register_forward_hook(lambda *call: seen.extend([*call[1], call[2]]))
    model.eval().run(torch.rand(2, 3, 32, 32))
    images, logits = seen
    weight = next(value for value in model.network.parameters() if value.ndim == 4)
    layout = torch.channels_last if asked else torch.contiguous_format
    assert all(tensor.is_contiguous(memory_format=layout) for tensor in (images, weight))
    assert logits.dtype == (torch.bfloat16 if amp else torch.float32)
    assert compiled == ([model.network] if asked else [])
