"""What weights are for, saved beside them in a file of plain values."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field, fields, replace
from functools import cache
from typing import TYPE_CHECKING, Any, Literal

from pydantic import TypeAdapter, ValidationError

from mogabench.checkpoints.reading import read_state_dict
from mogabench.errors import UserError, list_and_count
from mogabench.subject import changes_for_weights

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from mogabench.subject import Subject


@dataclass(frozen=True)
class Description:
    """All that it takes to use a file of weights.

    Attributes:
        task: The task that the network was trained for.
        method: The task's method.
        backbone: The backbone's name.
        options: The backbone's keyword arguments, its number of classes included.
        own_options: Those of them that are the subject's; the others follow from recipe and data.
            None in files from before they were told apart.
        input_size: As in the subject, in pixels.
        classes: Their names in the order of the network's outputs; empty where there are none.
        class_ids: What the data numbers them by, such as COCO's categories; empty where it does
            not number them itself.
        mean: What is subtracted from pixel values 0 to 1, by channel.
        std: What divides them then.
        recipe: The recipe that the network was trained by.
        recipe_changes: The recipe's settings that were changed.
        recipe_digest: SHA-256 of the recipe's settings.
        recipe_settings: All of the recipe's settings, those of an evaluation among them, such as
            crop and interpolation; empty in files from before they were kept.
        epochs: How long it was trained.
        data: What it was trained on, as records have it: ``name``, ``split``, ``samples``,
            ``digest``; empty in files from before it was kept.
        pretraining: What that training started from, ``unknown`` where nobody said; empty in files
            from before it was kept.
        of_task: What else the task says of the training, such as how many frames it predicts.
    """

    task: str
    method: str
    backbone: str
    options: dict[str, Any] = field(default_factory=dict)
    own_options: dict[str, Any] | None = None
    input_size: tuple[int, ...] = ()
    classes: tuple[str, ...] = ()
    class_ids: tuple[int, ...] = ()
    mean: tuple[float, ...] = ()
    std: tuple[float, ...] = ()
    recipe: str = ""
    recipe_changes: dict[str, Any] = field(default_factory=dict)
    recipe_digest: str = ""
    recipe_settings: dict[str, Any] = field(default_factory=dict)
    epochs: int = 0
    data: dict[str, Any] = field(default_factory=dict)
    pretraining: Literal["", "none", "in1k", "in21k", "unknown"] = ""
    of_task: dict[str, Any] = field(default_factory=dict)

    def to_meta(self) -> dict[str, Any]:
        """The description as plain values, for the entry ``meta`` of a checkpoint."""
        return asdict(self)

    @classmethod
    def from_meta(cls, meta: Any) -> Description | None:
        """The description in the entry ``meta``; None where the file is not of this project.

        Raises:
            UserError: An entry of it is of another type than it can be.
        """
        names = {item.name for item in fields(cls)}
        if not isinstance(meta, dict) or not {"task", "method", "backbone"} <= meta.keys():
            return None
        # JSON, as in a safetensors file, has lists alone.
        known: dict[str, Any] = {
            name: tuple(value) if isinstance(value, list) else value
            for name, value in meta.items()
            if name in names
        }
        try:
            found: Description = _schema().validate_python(known)
        except ValidationError as error:
            first = error.errors()[0]
            where = ".".join(map(str, first["loc"]))
            raise UserError(
                f"the metadata in the weights file is invalid: {where}: {first['msg']}"
            ) from None
        return found

    @classmethod
    def of(cls, path: Path) -> Description | None:
        """What a file of weights says of itself; None where it is not of this project.

        Raises:
            UserError: It cannot be read.
        """
        return cls.from_meta(read_state_dict(path).meta.get("meta"))

    def for_data(self) -> Description:
        """The description without the options that recipe and data decide, for a run on data."""
        own = self.own_options
        if own is None:
            own = {name: value for name, value in self.options.items() if name != "num_classes"}
        return replace(self, options=own)

    def check_task(self, weights: str, task: str) -> None:
        """Refuses the weights of another task.

        Args:
            weights: The file, for the error.
            task: What is to be evaluated.

        Raises:
            UserError: They are of another one.
        """
        if self.task != task:
            network = "/".join((self.task, self.method, self.backbone))
            raise UserError(f"{weights} holds the weights of {network}, not of {task}")

    def check_network(self, path: Path, subject: Subject, *, train: bool) -> None:
        """Refuses the weights of another network, or of the same with other options.

        Args:
            path: The file, for the error.
            subject: What is to be trained or evaluated.
            train: A training may begin with the same backbone of another task or method.

        Raises:
            UserError: The weights are of another network.
        """
        own = (self.task, self.method, self.backbone)
        wanted = (subject.task, subject.method, subject.backbone)
        if own[2] != wanted[2] or (own != wanted and not train):
            raise UserError(
                f"{path} holds the weights of {'/'.join(own)}, not of {'/'.join(wanted)}"
            )
        given = dict(subject.options)
        named = {*(self.options if self.own_options is None else self.own_options), *given}
        trained = {name: value for name, value in self.options.items() if name in named}
        if changes := changes_for_weights(trained, given):
            raise UserError(f"{path} is of a {self.backbone} with other options: {changes}")

    def check_classes(
        self, path: Path, classes: Sequence[str], *, train: bool, class_map: bool
    ) -> None:
        """Refuses weights for other classes, or for the same in another order.

        Args:
            path: The file, for the error.
            classes: The data's; empty where it has none.
            train: Whether a new head would help.
            class_map: Whether a class map may name the classes.

        Raises:
            UserError: The classes differ.
        """
        if self.classes and classes and tuple(self.classes) != tuple(classes):
            of_map = "; give the --class-map that it was trained with" * class_map
            raise UserError(
                f"{path} was trained for the classes {list_and_count(self.classes)}, but the data"
                f"{' or the class map' * class_map} has {list_and_count(classes)}; names and order "
                f"must be equal{'; --new-head trains a new head' if train else of_map}"
            )


@cache
def _schema() -> TypeAdapter[Description]:
    return TypeAdapter(Description)
