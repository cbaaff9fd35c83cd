"""Data loaders; what is random in an item follows from the seed and the number of its draw."""

from __future__ import annotations

import logging
import random
import signal
import sys
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple

from mmengine.dist import get_dist_info
from torch.utils.data import DataLoader, Dataset, IterableDataset, Sampler, default_collate

from mogabench.data.images import ImageError, truncated_images_filled
from mogabench.engine.interrupts import interrupts_held, obey
from mogabench.engine.processes import gather
from mogabench.engine.randomness import Draw, EvaluationOrder, TrainingOrder, seed_everything
from mogabench.errors import UserError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from types import TracebackType

    from mogabench.engine.job import Job
    from mogabench.engine.task import Indexed, Source

_LOG = logging.getLogger(__name__)

_REPLACEMENTS = 20
"""Others to try in training where one cannot be read; if half cannot, all fail 1 time in 10^6."""


class _Loaded(NamedTuple):
    """An item or a batch, as the processes that load it send it.

    Attributes:
        content: None where it could not be read.
        errors: What was wrong, by the place in the data set.
    """

    content: Any
    errors: dict[int, UserError]


class Seeded(Dataset[_Loaded]):
    """A data set whose items are the same ones whenever the same draw is asked for.

    Errors go beside the items, so that their messages reach the main process unchanged.

    Args:
        source: The data set.
        job: Gives the seed, and says whether truncated images are filled.
        replace: Whether another item, chosen by the draw's own generator, takes the place of one
            whose image cannot be read.
    """

    def __init__(self, source: Indexed, job: Job[Any, Any], *, replace: bool) -> None:
        self.source, self.seed = source, job.seed
        self.fill, self.replace = job.on_bad_image == "fill", replace

    def __len__(self) -> int:
        return len(self.source)

    def __getitem__(self, draw: Draw) -> _Loaded:
        seed_everything(self.seed, draw.number)
        place, errors = draw.image, dict[int, UserError]()
        for _ in range(1 + _REPLACEMENTS * self.replace):
            try:
                return _Loaded(self._read(place, errors), errors)
            except UserError as error:
                errors[place] = error
                if not isinstance(error, ImageError):
                    break
            place = random.randrange(len(self))
        return _Loaded(None, errors)

    def _read(self, place: int, errors: dict[int, UserError]) -> Any:
        """The item; that a truncated image was filled goes to ``errors``."""
        try:
            return self.source[place]
        except ImageError as error:
            if not self.fill:
                raise
            with truncated_images_filled():
                item = self.source[place]
            errors[place] = ImageError(error.name, error.reason, True, error.what)
            return item


class Loader(DataLoader[Any]):
    """Batches of the items whose images can be read, each of the others named once.

    Attributes:
        errors: The images that could not be read, or were filled, by their place in the data set.
        left_out: The places of those that this pass over the data could not read.
        named: The images that the log has named; several items may be of one.

    Args:
        job: Says what becomes of unreadable images.
        source: What is loaded.
        training: Whether batches must be whole.
        items: The source's items as PyTorch takes them.
        **options: PyTorch's.
    """

    def __init__(
        self,
        job: Job[Any, Any],
        source: Source,
        items: Dataset[Any],
        *,
        training: bool,
        **options: Any,
    ) -> None:
        super().__init__(items, **options)
        self.identity, self.training = source.identity, training
        self.may_fail = job.on_bad_image == "fail"
        self.errors: dict[int, ImageError] = {}
        self.named: set[str] = set()
        self.left_out: set[int] = set()

    def __iter__(self) -> Iterator[Any]:  # type: ignore[override]  # PyTorch's own class is private
        """The batches.

        Raises:
            UserError: An item is not what it should be, or most images cannot be read.
        """
        return self._check(self._start())

    def _start(self) -> Iterator[Any]:
        """PyTorch's batches, whose processes ignore Ctrl-C from their first moment."""
        obey()
        with interrupts_held():
            return super().__iter__()

    def _check(self, batches: Iterator[Any]) -> Iterator[Any]:
        is_empty = True
        self.left_out.clear()  # an image may be readable again, on a network drive
        try:
            for batch in batches:
                obey()
                if not isinstance(batch, _Loaded):  # of a stream
                    yield batch
                    continue
                for place, error in batch.errors.items():
                    self._note(place, error)
                if batch.content is not None:
                    is_empty = False
                    yield batch.content
                elif self.training:
                    raise self._too_few("most")
        finally:
            with interrupts_held():  # the processes end in PyTorch's destructor
                del batches
        if not self.training and all(gather(is_empty)) and self.left_out:
            raise self._too_few("all")

    def _too_few(self, share: str) -> UserError:
        example = next(iter(self.errors.values()))
        return UserError(
            f"{share} {self.identity.split} images of {self.identity.name} cannot be read, such as "
            f"{example.name}: {example.reason}"
        )

    def _note(self, place: int, error: UserError) -> None:
        if self.may_fail or not isinstance(error, ImageError):
            raise error
        if error.name not in self.named:
            self.named.add(error.name)
            _LOG.warning("%s: %s", "filled" if error.filled else "left out", error)
        self.errors[place] = error
        if not error.filled:
            self.left_out.add(place)


def training_loader(job: Job[Any, Any], source: Source, batch_size: int) -> Loader:
    """Batches in random order; an incomplete last batch is dropped.

    Args:
        job: Gives the seed and the number of workers.
        source: What to load.
        batch_size: Items per forward pass.
    """
    rank, world = get_dist_info()
    order = None
    if not isinstance(source.items, IterableDataset):
        assert job.recipe is not None
        order = TrainingOrder(
            len(source.items),
            job.seed,
            repeats=source.repeats,
            groups=source.groups,
            step=job.recipe.batch_size,
            rank=rank,
            world=world,
        )
    return _loader(job, source, order, batch_size, training=True)


def evaluation_loader(job: Job[Any, Any], source: Source, batch_size: int) -> Loader:
    """Batches in order, each item once; the arguments are those of `training_loader`."""
    rank, world = get_dist_info()
    order = None
    if not isinstance(source.items, IterableDataset):
        order = EvaluationOrder(len(source.items), rank=rank, world=world)
    return _loader(job, source, order, batch_size, training=False)


def _loader(
    job: Job[Any, Any],
    source: Source,
    order: Sampler[Draw] | None,
    batch_size: int,
    *,
    training: bool,
) -> Loader:
    collate = source.collate or default_collate
    if isinstance(source.items, IterableDataset):
        items: Dataset[Any] = source.items
    else:
        replace = training and job.on_bad_image != "fail"
        items = Seeded(source.items, job, replace=replace)
        collate = partial(_join, collate, training)
    return Loader(
        job,
        source,
        items,
        training=training,
        batch_size=batch_size,
        sampler=order,
        # A stream is read by workers, which begin each epoch afresh.
        num_workers=job.workers if order else max(job.workers, 1),
        collate_fn=collate,
        drop_last=training,
        pin_memory=job.device != "cpu",
        worker_init_fn=_leave_the_end_to_the_main_process,
    )


def _join(collate: Callable[[list[Any]], Any], training: bool, items: list[_Loaded]) -> _Loaded:
    """A batch of what could be read; in training of all items or none."""
    found = [item.content for item in items if item.content is not None]
    errors = {place: error for item in items for place, error in item.errors.items()}
    is_enough = len(found) == len(items) if training else bool(found)
    return _Loaded(collate(found) if is_enough else None, errors)


def _leave_the_end_to_the_main_process(_: int) -> None:
    """Ignores Ctrl-C, and what fails as the main process, which reads the batches, has ended."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    sys.excepthook = _print_unless_disconnected


def _print_unless_disconnected(
    kind: type[BaseException], error: BaseException, trace: TracebackType | None
) -> None:
    if not issubclass(kind, ConnectionError | EOFError):
        sys.__excepthook__(kind, error, trace)
