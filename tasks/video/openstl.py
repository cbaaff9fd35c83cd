"""Comparison with OpenSTL, the library of SimVP's authors, where a user has it from source.

It is on no registry: PyPI's ``openstl`` is a reader of STL meshes.
"""

from __future__ import annotations

import contextlib
import inspect
import io
import warnings
from importlib import import_module
from importlib.util import find_spec, module_from_spec, spec_from_file_location
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from mmengine.dist import get_world_size

from mogabench.engine.reporting import Noting
from mogabench.errors import UserError
from mogabench.models.simvp import SimVP
from mogabench.tasks.video.frames import split_frames
from mogabench.tasks.video.metric import METRICS
from mogabench.tasks.video.model import FramePredictor

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from mmengine.runner import Runner
    from torch import Tensor, nn

    from mogabench.engine.job import Job

_TRANSLATORS = {"moganet": "moga", "mlpmixer": "mlp"}
_ARGUMENTS = {"encoder_dim": "hid_S", "hidden_dim": "hid_T", "depth": "N_T"}
"""What OpenSTL calls otherwise."""

_TOLERANCE = 1e-4
"""Of pixels in [0, 1], in float32."""


class CompareWithOpenSTL(Noting):
    """Predicts with OpenSTL's network from the same weights, and evaluates with its metrics.

    Args:
        job: The evaluation.
        network: Ours, with its weights.
        predicted: Frames to predict.
        options: What SimVP is built with.

    Raises:
        UserError: OpenSTL is not there or lacks the translator, or the evaluation is not one
            process in float32.
    """

    def __init__(
        self, job: Job[Any, Any], network: nn.Module, predicted: int, options: Mapping[str, Any]
    ) -> None:
        if job.train or job.amp or job.runtime != "torch" or get_world_size() > 1:
            raise UserError(
                "--check openstl compares an evaluation in float32, by torch, in one process: "
                "leave out --train, --amp, --runtime and --nproc"
            )
        self.metric, network_class = import_openstl()
        theirs = _build(network_class, job.subject.backbone, job.subject.input_size, options)
        theirs.load_state_dict(network.state_dict(), strict=True)
        self.predictor = FramePredictor(theirs, job.subject.input_size[0], predicted).eval()
        self.difference, self.sequences = 0.0, 0
        self.sums: dict[str, float] = {}
        self.refused: dict[str, str] = {}

    def after_val_iter(
        self, runner: Runner, batch_idx: int, data_batch: Any = None, outputs: Any = None
    ) -> None:
        """Compares the frames of a batch, and adds OpenSTL's metrics of its own ones.

        Raises:
            UserError: They differ by more than rounding does.
        """
        ours = torch.stack(list(outputs))
        self.predictor.to(ours.device)
        seen, future = split_frames(data_batch["frames"].to(ours.device), self.predictor.seen)
        theirs = self.predictor.continued(seen.contiguous())
        difference = float((ours - theirs).abs().max())
        if difference > _TOLERANCE:
            raise UserError(
                f"frames differ from OpenSTL's by the same weights, by up to {difference:.2g}"
            )
        self.difference = max(self.difference, difference)
        self.sequences += len(future)
        for name in METRICS:
            self._add(name, theirs, future)

    def notes(self) -> list[str]:
        """The largest difference, and OpenSTL's metrics."""
        means = ", ".join(
            f"{name} {total / self.sequences:.6g}"
            for name, total in self.sums.items()
            if name not in self.refused
        )
        return [
            f"OpenSTL's network predicts the same frames by the same weights, to "
            f"{self.difference:.1e}; OpenSTL's metrics of them: {means}",
            *(
                f"OpenSTL's {name} could not be computed: {why}"
                for name, why in self.refused.items()
            ),
        ]

    def _add(self, name: str, predicted: Tensor, future: Tensor) -> None:
        arrays = predicted.cpu().numpy(), future.cpu().numpy()
        try:
            found = float(self.metric(*arrays, metrics=[name], return_log=False)[0][name])
        except Exception as error:  # by whichever scikit-image and LPIPS are installed
            self.refused[name] = str(error).partition(". ")[0] or type(error).__name__
        else:
            self.sums[name] = self.sums.get(name, 0.0) + found * len(future)


def import_openstl() -> tuple[Callable[..., Any], type[nn.Module]]:
    """OpenSTL's function for metrics, and its class of SimVP.

    Raises:
        UserError: OpenSTL is not there, or lacks a package that it needs.
    """
    metric = _load_metric(_find_package())
    with _in_one_line():
        network: type[nn.Module] = import_module("openstl.models.simvp_model").SimVP_Model
    return metric, network


def _find_package() -> Path:
    spec = find_spec("openstl")
    for folder in map(Path, spec.submodule_search_locations or () if spec else ()):
        if (folder / "models" / "simvp_model.py").is_file():
            return folder
    found = (
        "PyPI's openstl, a reader of STL meshes, is another package" if spec else "it is not here"
    )
    raise UserError(
        f"--check openstl needs the video-prediction library OpenSTL: {found}; install it from its "
        "source, github.com/chengtan9907/OpenSTL"
    )


def _load_metric(package: Path) -> Callable[..., Any]:
    """OpenSTL's function, from its file alone: the package around it needs an older timm."""
    spec = spec_from_file_location("openstl_metrics", package / "core" / "metrics.py")
    assert spec is not None and spec.loader is not None
    module = module_from_spec(spec)
    with _in_one_line():
        spec.loader.exec_module(module)
    metric: Callable[..., Any] = module.metric
    return metric


def _build(
    network_class: type[nn.Module],
    translator: str,
    size: tuple[int, ...],
    options: Mapping[str, Any],
) -> nn.Module:
    """OpenSTL's SimVP with the arguments of ours."""
    defaults = inspect.signature(SimVP).parameters
    own = {name: options.get(name, defaults[name].default) for name in (*_ARGUMENTS, "mlp_ratio")}
    arguments = {_ARGUMENTS.get(name, name): value for name, value in own.items()}
    with _in_one_line():
        return network_class(
            size, N_S=4, model_type=_TRANSLATORS.get(translator, translator), **arguments
        )


@contextlib.contextmanager
def _in_one_line() -> Any:
    """Its networks print and warn as they are built, and need libraries of their time."""
    with contextlib.redirect_stdout(io.StringIO()), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            yield
        except Exception as error:
            raise UserError(
                f"OpenSTL does not run here: {type(error).__name__}: {error}"
            ) from error
