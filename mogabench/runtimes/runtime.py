"""Runtimes for exported files; each is a network from one tensor to one or to several."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor, nn

from mogabench.errors import (
    OutOfMemoryError,
    UserError,
    import_extra,
    is_out_of_memory,
    unknown,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path


Outputs = Tensor | tuple[Tensor, ...]
"""What a file computes: a tensor where it has one output, else one for each."""


class Runtime(nn.Module):
    """A network in a file.

    Args:
        file: The exported file.
        dtype: What it computes in, one of the runtime's `dtypes`.
        threads: Threads of one operator; None takes as many as PyTorch.

    Raises:
        UserError: The runtime is not installed, or this machine does not compute so.
    """

    package = ""
    """The package that runs the file."""
    format = ""
    """Its name among `mogabench.runtimes.FORMATS`."""
    dtypes: tuple[str, ...] = ("float32",)
    device = "cpu"
    """Where it computes, ``cpu`` or ``cuda``; its inputs and outputs are there."""

    def __init__(self, file: Path, *, dtype: str = "float32", threads: int | None = None) -> None:
        super().__init__()
        self._open(file, dtype, threads)

    @classmethod
    def check_installed(cls) -> None:
        """Raises `UserError` where it cannot run."""
        import_runtime(cls.package)

    def forward(self, x: Tensor) -> Outputs:
        """Runs the file on a batch of images.

        Raises:
            UserError: The runtime fails, such as on images of another size than the file's; an
                `OutOfMemoryError` where memory does not suffice.
        """
        try:
            first, *others = self._run(x)
        except Exception as error:
            reason = str(error).strip().partition("\n")[0]
            shape = "x".join(map(str, x.shape))
            kind = OutOfMemoryError if is_out_of_memory(error) else UserError
            raise kind(f"{self.package} fails on inputs of {shape}: {reason}") from error
        return (first, *others) if others else first

    def _open(self, file: Path, dtype: str, threads: int | None) -> None:
        raise NotImplementedError

    def _run(self, x: Tensor) -> Iterable[Tensor]:
        raise NotImplementedError


class OnnxRuntime(Runtime):
    """ONNX Runtime."""

    package = "onnxruntime"
    format = "onnx"
    provider = "CPUExecutionProvider"
    """Its name of what computes."""

    def _open(self, file: Path, dtype: str, threads: int | None) -> None:
        onnxruntime = import_runtime(self.package)
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads or torch.get_num_threads()
        options.inter_op_num_threads = 1
        options.log_severity_level = 4  # its errors arrive as exceptions
        providers = [(self.provider, self._provider_options(dtype))]
        if self.device != "cpu":  # or what the provider cannot compute is computed on the CPU
            options.add_session_config_entry("session.disable_cpu_ep_fallback", "1")
        try:
            self.session = onnxruntime.InferenceSession(
                str(file), options, providers=providers, enable_fallback=0
            )
        except Exception as error:
            reason = str(error).strip().partition("\n")[0]
            raise UserError(f"ONNX Runtime cannot start its {self.provider}: {reason}") from error
        if self.session.get_providers()[0] != self.provider:
            raise UserError(f"ONNX Runtime cannot start its {self.provider} on this machine")
        self.input = self.session.get_inputs()[0].name
        self.outputs = [output.name for output in self.session.get_outputs()]

    def _provider_options(self, dtype: str) -> dict[str, str]:
        return {}

    def _run(self, x: Tensor) -> Iterable[Tensor]:
        x = x.to(self.device, torch.float32).contiguous()
        if x.is_cuda:
            torch.cuda.synchronize()  # it reads them on a stream of its own
        binding, index = self.session.io_binding(), x.device.index or 0
        binding.bind_input(self.input, self.device, index, np.float32, tuple(x.shape), x.data_ptr())
        for name in self.outputs:
            binding.bind_output(name)
        self.session.run_with_iobinding(binding)
        return [torch.from_numpy(out).to(self.device) for out in binding.copy_outputs_to_cpu()]


class TensorRT(OnnxRuntime):
    """TensorRT, by way of ONNX Runtime; float32 is TF32 on a GPU that has it.

    It builds an engine for each shape of inputs, when it meets the first of them.
    """

    dtypes = ("float32", "bfloat16", "float16")
    device = "cuda"
    provider = "TensorrtExecutionProvider"

    @classmethod
    def check_installed(cls) -> None:
        """Raises `UserError` where there is no TensorRT, or ONNX Runtime is that for CPUs."""
        if cls.provider not in import_runtime(cls.package).get_available_providers():
            raise UserError(
                "tensorrt needs the ONNX Runtime for GPUs, which has it: pip uninstall "
                "onnxruntime, then pip install onnxruntime-gpu and a TensorRT of its version"
            )

    def _provider_options(self, dtype: str) -> dict[str, str]:
        return {
            "device_id": str(torch.cuda.current_device() if torch.cuda.is_available() else 0),
            "trt_fp16_enable": str(dtype == "float16"),
            "trt_bf16_enable": str(dtype == "bfloat16"),
        }


class OpenVino(Runtime):
    """OpenVINO; in bfloat16 it takes and gives float32."""

    package = "openvino"
    format = "openvino"
    dtypes = ("float32", "bfloat16")

    def _open(self, file: Path, dtype: str, threads: int | None) -> None:
        core = import_runtime(self.package).Core()
        options = self.options(dtype, threads or torch.get_num_threads())
        self.compiled = core.compile_model(str(file), "CPU", options)
        # What the processor lacks it replaces without a word.
        precision, used = map(self.compiled.get_property, options)
        if precision.get_type_name() != options["INFERENCE_PRECISION_HINT"]:
            raise UserError(f"OpenVINO has no {dtype} on this processor; compute in float32")
        if threads not in (None, used):
            raise UserError(
                f"OpenVINO computes on at most {used} threads here, not on {threads}; "
                f"--threads {used} works"
            )

    @staticmethod
    def options(dtype: str, threads: int) -> dict[str, str | int]:
        """OpenVINO's options; the arguments are those of `Runtime`."""
        hint = {"float32": "f32", "bfloat16": "bf16"}[dtype]
        return {"INFERENCE_PRECISION_HINT": hint, "INFERENCE_NUM_THREADS": threads}

    def _run(self, x: Tensor) -> Iterable[Tensor]:
        found = self.compiled(x.float().contiguous().numpy())
        # They are written to again by the next call.
        outputs = [torch.from_numpy(found[output].copy()) for output in self.compiled.outputs]
        if any(len(output) != len(x) for output in outputs):
            # It does not say so, and gives what the call before gave, or nothing.
            raise MemoryError("the memory does not suffice")
        return outputs


class Program(Runtime):
    """PyTorch itself, on an exported program."""

    package = "torch"
    format = "pt2"

    def _open(self, file: Path, dtype: str, threads: int | None) -> None:
        self.program = torch.export.load(file).module()

    def _run(self, x: Tensor) -> Iterable[Tensor]:
        return all_of(self.program(x))


def all_of(outputs: Outputs) -> tuple[Tensor, ...]:
    """The tensors that a network gives, be it one or several."""
    return (outputs,) if isinstance(outputs, Tensor) else tuple(outputs)


RUNTIMES: Mapping[str, type[Runtime]] = {
    "onnxruntime": OnnxRuntime,
    "openvino": OpenVino,
    "tensorrt": TensorRT,
}
"""Runtimes that networks can be timed and evaluated in, beside ``torch`` itself."""


def check_runtime(name: str, dtype: str) -> type[Runtime]:
    """The runtime of that name.

    Raises:
        UserError: There is none, it is not installed, or it does not compute in this type.
    """
    if name not in RUNTIMES:
        raise unknown("runtime", name, ["torch", *RUNTIMES])
    kind = RUNTIMES[name]
    if dtype not in kind.dtypes:
        raise UserError(f"{name} computes in {' or '.join(kind.dtypes)} here, not in {dtype}")
    kind.check_installed()
    return kind


def import_runtime(package: str) -> Any:
    """Imports a package of the extra ``runtimes``.

    Raises:
        UserError: It is not installed, or does not import.
    """
    return import_extra(package, "runtimes")
