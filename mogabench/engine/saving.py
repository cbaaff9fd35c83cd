"""Checkpoints to resume from: written whole, of plain values, at any step."""

from __future__ import annotations

import logging
import shutil
import time
from typing import TYPE_CHECKING, Any

from mmengine.hooks import Hook
from mmengine.model import is_model_wrapper

from mogabench.checkpoints import read_state_dict, save_checkpoint
from mogabench.engine.processes import gather
from mogabench.errors import UserError

if TYPE_CHECKING:
    from pathlib import Path

    from mmengine.runner import Runner

    from mogabench.engine.job import Job

_LOG = logging.getLogger(__name__)

CHECKPOINT = "checkpoint.pth"
"""The file in the work folder that a training goes on from."""

_COPIES = 8
"""Room for two checkpoints, each of weights, an average and two moments."""


class SaveCheckpoints(Hook):
    """Keeps one checkpoint, replaced in one step: after every epoch, and after some time.

    There is nothing to choose from when resuming, and nothing half-written to avoid: the file is
    the last complete checkpoint. It holds no generator's state (see `mogabench.engine.randomness`).

    Args:
        folder: Where the file goes.
        identity: What must be equal for a training to be the same; see `is_resumable`.
        seconds: Longest time between two checkpoints.
    """

    priority = "VERY_LOW"  # after the average and the learning rate have moved on

    def __init__(self, folder: Path, identity: dict[str, str], seconds: float) -> None:
        self.folder, self.identity, self.seconds = folder, identity, seconds

    def before_train(self, runner: Runner) -> None:
        """Refuses to begin what the disk cannot hold."""
        state = state_of(runner)["state_dict"]
        # Such as a mask of attention, -inf where there is to be none.
        self.infinite = {name for name in state if not state[name].isfinite().all()}
        weights = sum(x.numel() * x.element_size() for x in runner.model.state_dict().values())
        free = shutil.disk_usage(self.folder).free
        if free < _COPIES * weights:
            raise UserError(
                f"no space for checkpoints in {self.folder}: {free / 1e6:.0f} MB are free, "
                f"{_COPIES * weights / 1e6:.0f} MB are needed"
            )
        self.saved = time.monotonic()

    def after_train_iter(self, runner: Runner, batch_idx: int, *_: Any, **__: Any) -> None:
        """Saves if it is time; the last step of an epoch leaves that to the end of the epoch."""
        is_last = runner.iter + 1 == runner.train_loop.epoch_end
        if time.monotonic() - self.saved >= self.seconds and not is_last:
            self._save(runner, epoch=runner.epoch, step=runner.iter + 1)

    def after_train_epoch(self, runner: Runner) -> None:
        """Saves."""
        self._save(runner, epoch=runner.epoch + 1, step=runner.iter)

    def _save(self, runner: Runner, *, epoch: int, step: int) -> None:
        payload = state_of(runner)
        state = payload["state_dict"]
        if not all(state[name].isfinite().all() for name in state.keys() - self.infinite):
            raise UserError(
                f"the weights are no longer finite after step {step}; {self.folder / CHECKPOINT} "
                "keeps an earlier state, where there is one"
            )
        if runner.rank == 0:
            payload["meta"] = {"epoch": epoch, "iter": step, "seed": runner.seed, **self.identity}
            runner.call_hook("before_save_checkpoint", checkpoint=payload)
            save_checkpoint(self.folder / CHECKPOINT, payload)
        self.saved = time.monotonic()


def is_resumable(job: Job[Any, Any], identity: dict[str, str]) -> bool:
    """Whether the job's folder has a checkpoint of this training.

    There is none if the training was killed before its first: it then begins anew, and says so.

    Raises:
        UserError: The checkpoint cannot be read, is of another network, recipe, data, precision or
            beginning, or of epochs of another length, or another process finds another one.
    """
    assert job.work_dir is not None
    file = job.work_dir / CHECKPOINT
    saved = read_state_dict(file).meta.get("meta", {}) if file.exists() else None
    first, *others = gather(None if saved is None else saved.get("iter"))
    if any(step != first for step in others):
        raise UserError(
            f"not all processes see the same {file}: --work-dir must be a folder that all machines "
            "share"
        )
    if saved is None:
        _LOG.info("no %s yet: beginning at step 0", file)
        return False
    for what, value in identity.items():
        if saved.get(what) != value:
            raise UserError(
                f"{file} is of another training: its {what} was {saved.get(what)}, not {value}; "
                "--resume needs the same network, --recipe, --set, --data, --weights and --amp as "
                "before, of a stream also --workers, --nproc and --batch-size; another training "
                "needs another --work-dir"
            )
    return True


def state_of(runner: Runner) -> dict[str, Any]:
    """What a checkpoint holds of a training: weights and the optimizer's state."""
    model = runner.model.module if is_model_wrapper(runner.model) else runner.model
    return {
        "state_dict": model.state_dict(),
        "optimizer": runner.optim_wrapper.state_dict(),
        # mmengine's history of logged values would need pickled classes and serves no result.
        "message_hub": {"log_scalars": {}, "runtime_info": {}, "resumed_keys": {}},
    }
