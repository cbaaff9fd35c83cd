"""Opening image folders and timm's named data sets, and identifying them."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from itertools import chain
from typing import TYPE_CHECKING, Any, Literal

from timm.data import ImageDataset, ImageNetInfo, create_dataset
from torch.utils.data import IterableDataset

from mogabench.data.classes import read_class_names
from mogabench.data.digits import sample_digits
from mogabench.data.identity import SAMPLE, data_name, data_root
from mogabench.data.idx import as_class_folders
from mogabench.data.images import SUFFIXES
from mogabench.engine.batches import batches_per_step
from mogabench.engine.task import input_channels
from mogabench.engine.weights import stated_classes
from mogabench.errors import UserError, list_and_count
from mogabench.records import Data
from mogabench.tasks.classification.channels import image_mode
from mogabench.tasks.classification.folders import FolderReader, Listing, list_alone, list_images

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from mogabench.engine.job import Job
    from mogabench.tasks.classification.options import ClassificationOptions
    from mogabench.tasks.classification.recipe import ClassificationRecipe

    ClassificationJob = Job[ClassificationRecipe, ClassificationOptions]

_IMAGENET = (50_000, 1_281_167)
"""The images of its validation and of its training set."""
_NAMED = ("hfds", "tfds", "wds")
_NAMED_SPLITS = {"train": "train", "val": "validation"}
_FOLDERS = {"train": ("train", "training"), "val": ("val", "validation", "valid")}
_MEMBERS = ";".join(ending.removeprefix(".") for ending in SUFFIXES)
"""What images of a web data set may be called in its shards; timm leaves out ``.jpeg``."""


@dataclass(frozen=True)
class Split:
    """One part of a data set.

    Attributes:
        source: timm's data set, without a transform: indexable, or a stream.
        identity: What a record calls it.
        num_classes: How many classes it has; None where it does not say.
        classes: Their names in label order; empty where it does not say.
        notes: What was left out of it, a line for each kind.
        annotated: Whether its images lie in class folders, or their labels come with the data.
    """

    source: Any
    identity: Data
    num_classes: int | None
    classes: tuple[str, ...]
    notes: tuple[str, ...] = ()
    annotated: bool = True

    @property
    def is_stream(self) -> bool:
        """Whether it can only be read from the start to the end."""
        return isinstance(self.source, IterableDataset)

    def name_of(self, index: int) -> str:
        """The name of an image, for messages; some data sets have none."""
        name = self.source.filename(index, absolute=True)
        return str(name or f"{self.identity.name}[{index}]")


def open_splits(job: ClassificationJob) -> tuple[Split | None, Split]:
    """Opens the data for training, where the job trains, and for evaluation.

    Raises:
        UserError: There is no such data set, or it is empty, has one class, or has other classes
            in training than in evaluation.
    """
    evaluation = _open(job, "val")
    if not job.train:
        return None, evaluation
    training = _open(job, "train")
    ours, theirs = training.source.reader.class_to_idx, evaluation.source.reader.class_to_idx
    if ours != theirs:
        raise UserError(
            f"{job.data}: training and evaluation have different classes: "
            f"{list_and_count(sorted(set(ours) - set(theirs))) or 'none'} in training only, "
            f"{list_and_count(sorted(set(theirs) - set(ours))) or 'none'} in evaluation only"
        )
    return training, evaluation


def _open(job: ClassificationJob, split: Literal["train", "val"]) -> Split:
    is_named = job.data.partition("/")[0] in _NAMED
    source = (_open_named if is_named else _open_folder)(job, split, _class_map(job))
    labels = source.reader.class_to_idx or {}
    annotated = bool(labels) or is_named
    if not annotated:
        labels = _class_map(job) or {name: n for n, name in enumerate(stated_classes(job))}
    num_classes = max(labels.values()) + 1 if labels else None
    names = tuple(map(str, sorted(labels, key=labels.__getitem__)))
    return Split(
        source,
        Data(
            name=_name(job, source),
            split=split,
            samples=_samples(source),
            digest=_digest(job, source),
        ),
        num_classes,
        names if len(names) == num_classes else (),
        getattr(source, "notes", ()),
        annotated,
    )


def _open_folder(job: ClassificationJob, split: str, class_map: dict[str, int] | None) -> Any:
    root = _root(job)
    folder = _subfolder(root, split)
    alone = None if job.train else list_alone(folder or root)
    if alone is not None:
        return _source(folder or root, alone, {})
    if folder is None:
        raise UserError(
            f"{root} has no folder {_FOLDERS[split][0]}/; expected "
            f"{root.name}/{_FOLDERS[split][0]}/CLASS/IMAGE.jpg"
        )
    listing = list_images(folder)
    _check_map(job, class_map, "class folders", listing.classes)
    if len(class_map or listing.classes) < 2:
        only = ", ".join(listing.classes) or "none"
        raise UserError(
            f"{folder} must have a folder of images for each of two or more classes (found {only})"
        )
    return _source(folder, listing, class_map)


def _source(folder: Path, listing: Listing, class_map: dict[str, int] | None) -> Any:
    source = ImageDataset(str(folder), reader=FolderReader(folder, listing, class_map))
    source.notes = listing.notes
    return source


def _root(job: ClassificationJob) -> Path:
    root = data_root(job.data, sample_digits)
    return as_class_folders(root) or root


def _subfolder(root: Path, split: str) -> Path | None:
    if not root.is_dir():
        raise UserError(
            f"there is no folder {root} (--data takes a folder with train/ and val/, "
            f"{', '.join(f'{kind}/NAME' for kind in _NAMED)}, or {SAMPLE})"
        )
    folders = (root / name for name in _FOLDERS[split])
    return next((folder for folder in folders if folder.is_dir()), None)


def _class_map(job: ClassificationJob) -> dict[str, int] | None:
    if job.options.class_map is None:
        return None
    return {name: label for label, name in enumerate(read_class_names(job.options.class_map))}


def _check_map(
    job: ClassificationJob, class_map: dict[str, int] | None, what: str, names: Iterable[str]
) -> None:
    unlisted = set(names) - set(class_map or ())
    if class_map and unlisted:
        raise UserError(
            f"{job.options.class_map} lacks the {what} {list_and_count(sorted(unlisted))}"
        )


def _open_named(job: ClassificationJob, split: str, class_map: dict[str, int] | None) -> Any:
    kind, _, name = job.data.partition("/")
    is_training = split == "train"
    batch_size = batches_per_step(job)[0] if is_training else 1
    try:
        source: Any = create_dataset(
            job.data,
            # A web data set is a folder of its own; the others find theirs by name.
            root=name if kind == "wds" else None,
            input_key=_MEMBERS if kind == "wds" else None,
            split=_NAMED_SPLITS[split],
            class_map=class_map,
            is_training=is_training,
            batch_size=batch_size,
            seed=job.seed,
            input_img_mode=image_mode(input_channels(job.subject)),
        )
    except ImportError as error:
        raise UserError(
            f"{job.data} needs a package that is not installed: {error.name}"
        ) from error
    except Exception as error:  # each of the three libraries raises its own kinds
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise UserError(f"cannot open {job.data}, split {split}: {reason}") from error
    is_stream = isinstance(source, IterableDataset)
    if class_map:
        # timm finds the place of a number by its name in the data; where it has none, the map has.
        # A stream's numbers stay as they are then, for its workers fail at one beyond the map.
        reader = source.reader
        reader.remap_class = bool(reader._source_names) or not is_stream
        reader._source_names = reader._source_names or dict(enumerate(class_map))
        _check_map(job, class_map, "classes", reader._source_names.values())
    source.notes = _stream_notes(split, job.workers) if is_stream else ()
    return source


def _stream_notes(split: str, workers: int) -> tuple[str, ...]:
    decoded = (
        f"{split}: images of a stream are decoded by timm, not as those of folders: the "
        "orientation that EXIF states is ignored, and 16-bit greys may be clipped"
    )
    order = (
        f"{split}: {workers} workers share the stream; another number of them trains in another "
        "order, and to other last digits"
    )
    return (decoded, order) if split == "train" else (decoded,)


def _samples(source: Any) -> int:
    """How many there are; timm rounds a stream's length up to whole batches of all processes."""
    is_stream = isinstance(source, IterableDataset)
    samples: int = source.reader.num_samples if is_stream else len(source)
    return samples


def _name(job: ClassificationJob, source: Any) -> str:
    """``imagenet-1k`` for as many images as it has, in its own 1000 classes, and only then."""
    synsets = ImageNetInfo().label_names()
    if _samples(source) in _IMAGENET and source.reader.class_to_idx == {
        name: label for label, name in enumerate(synsets)
    }:
        return "imagenet-1k"
    if job.data.partition("/")[0] in _NAMED:
        return job.data
    return data_name(_root(job))


def _digest(job: ClassificationJob, source: Any) -> str:
    """SHA-256 over names and labels; a stream's are known only once it is read, so its name's.

    A class map shows in the labels of folders, and is part of what is hashed of other data.
    """
    reader = source.reader
    lines: Iterable[str]
    if isinstance(source, IterableDataset):
        lines = [f"{job.data} {_samples(source)}"]
    elif job.data.startswith("hfds/"):
        lines = (str(label) for label in reader.dataset[reader.label_key])
    else:
        lines = (
            f"{source.filename(index)} {label}" for index, (_, label) in enumerate(reader.samples)
        )
    if job.options.class_map is not None and not isinstance(reader, FolderReader):
        lines = chain(lines, reader.class_to_idx)
    digest = hashlib.sha256()
    for line in lines:
        digest.update(f"{line}\n".encode(errors="surrogateescape"))
    return digest.hexdigest()
