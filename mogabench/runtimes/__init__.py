"""Networks as files for other runtimes, and those runtimes: ONNX Runtime, OpenVINO and TensorRT."""

from mogabench.runtimes.exporting import FORMATS, Exported, export, in_runtime
from mogabench.runtimes.runtime import RUNTIMES, check_runtime

__all__ = ["FORMATS", "RUNTIMES", "Exported", "check_runtime", "export", "in_runtime"]
