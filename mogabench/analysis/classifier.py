"""A classifier, and the images that it is analysed on."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

import torch

from mogabench.data.images import ImageError
from mogabench.engine.environment import choose_device, enter
from mogabench.engine.make_job import make_evaluation_job
from mogabench.engine.task import input_channels
from mogabench.errors import UserError
from mogabench.files import sha256
from mogabench.machine import device_name, driver_version
from mogabench.models import fuse
from mogabench.records import Data, Record, provenance
from mogabench.runtimes import in_runtime
from mogabench.tasks.classification import TASK

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

    from torch import Tensor, nn

    from mogabench.checkpoints import Description
    from mogabench.records import Kind, Quantity
    from mogabench.subject import Subject


class Recognised(NamedTuple):
    """An image that the network recognises: its place in the data, pixels and class."""

    place: int
    image: Tensor
    label: int


@dataclass(frozen=True)
class Classifier:
    """A network with its weights, and the images to analyse it on.

    Attributes:
        subject: The network, at the size of the images.
        network: On the device or in the runtime, in evaluation mode.
        images: Items with ``inputs`` ``(C, H, W)``, normalised, and ``labels``.
        data: What a record calls the images.
        weights: SHA-256 of the file; None where the network is not trained.
        device: Where the network is.
        runtime: What runs it.
        dtype: What it computes in.
    """

    subject: Subject
    network: nn.Module
    images: Any
    data: Data
    weights: str | None
    device: str
    runtime: str
    dtype: str

    @property
    def label(self) -> str:
        """The network with its options, marked where it is not trained."""
        options = ", ".join(f"{name}={value}" for name, value in self.subject.options)
        name = self.subject.backbone + f" ({options})" * bool(options)
        return name if self.weights else f"{name}, untrained"

    def record(
        self, kind: Kind, values: Mapping[str, Quantity], *, batch_size: int, seed: int
    ) -> Record:
        """The record of what was measured.

        Args:
            kind: What it was.
            values: By name.
            batch_size: Images per pass.
            seed: Of the sampling, and of the weights where they are random.
        """
        return Record(
            subject=self.subject,
            kind=kind,
            values=dict(values),
            notes=[] if self.weights else ["untrained: random weights, on normal noise"],
            provenance=provenance(
                device=device_name(self.device),
                driver=driver_version(self.device),
                runtime=None if self.runtime == "torch" else self.runtime,
                dtype=self.dtype,
                channels_last=self.runtime == "torch",
                batch_size=batch_size,
                seed=seed,
                weights=self.weights,
                data=self.data,
            ),
        )

    def drawn(self, seed: int) -> Iterator[tuple[int, Tensor, int]]:
        """Place, pixels and class of each image that can be read, in random order."""
        generator = torch.Generator().manual_seed(seed)
        for place in torch.randperm(len(self.images), generator=generator).tolist():
            try:
                item = self.images[place]
            except ImageError:
                continue
            image = item["inputs"].to(self.device, self.input_dtype)
            yield place, image, int(item["labels"])

    def recognised(self, count: int, seed: int) -> tuple[list[Recognised], int]:
        """Images that the network puts into their class, drawn from all.

        Returns:
            At most as many as asked for, and how many were tried for that.

        Raises:
            UserError: There are fewer than two.
        """
        found: list[Recognised] = []
        tried = 0
        for place, image, label in self.drawn(seed):
            if len(found) == count:
                break
            tried += 1
            if self._predict(image) == label:
                found.append(Recognised(place, image, label))
        if len(found) < 2:
            raise UserError(
                f"{self.subject.backbone} recognises {len(found)} of {tried} images, and two are "
                "needed: are its weights, classes and preprocessing those of the data?"
            )
        return found, tried

    @property
    def input_dtype(self) -> torch.dtype:
        """The type of the images; a runtime converts them itself."""
        return getattr(torch, self.dtype) if self.runtime == "torch" else torch.float32

    @torch.inference_mode()
    def _predict(self, image: torch.Tensor) -> int:
        return int(self.network(image[None].contiguous(memory_format=torch.channels_last)).argmax())


def open_classifier(
    subject: Subject,
    *,
    weights: str,
    stated: Description | None,
    data: str,
    class_map: Path | None,
    device: str,
    runtime: str,
    dtype: str,
    sized: bool,
    fused: bool,
) -> Classifier:
    """Builds a classifier with its weights, and opens the images to analyse it on.

    Args:
        subject: The network.
        weights: ``official`` or a file.
        stated: What the weights say of themselves; None where they say nothing.
        data: As `mogabench run classification` takes it.
        class_map: Likewise.
        device: ``auto``, ``cpu`` or ``cuda``.
        runtime: ``torch`` or one of `mogabench.runtimes.RUNTIMES`.
        dtype: What the network computes in, such as ``bfloat16``.
        sized: Whether the user chose the subject's size.
        fused: Whether PyTorch runs the network in its fused form, which lacks some of its parts.

    Raises:
        UserError: Weights, network and data do not fit together.
    """
    job = make_evaluation_job(
        TASK,
        subject,
        stated,
        data=data,
        options=TASK.Options(class_map=class_map),
        size_is_given=sized,
        weights=weights,
        device=device,
        runtime=runtime,
    )
    assert job.weights is not None
    enter(job.device)
    setup = TASK.prepare(job)
    if not hasattr(setup.test.items, "__getitem__"):
        raise UserError(f"--data {data} is a stream; an analysis needs images in folders")
    network = setup.model.network
    if runtime == "torch":
        network = network.eval().to(memory_format=torch.channels_last)
        network = fuse(network) if fused else network  # which lays filters as kernels read them
        network = network.to(job.device, getattr(torch, dtype))
    else:
        (image,) = TASK.example_inputs(job.subject)
        network = in_runtime(network, image, runtime, dtype=dtype)
    digest = sha256(job.weights)
    return Classifier(
        job.subject,
        network,
        setup.test.items,
        setup.test.identity,
        digest,
        job.device,
        runtime,
        dtype,
    )


def open_untrained(subject: Subject, *, count: int, seed: int, device: str) -> Classifier:
    """Builds a classifier with random weights, to be analysed on normal noise.

    Args:
        subject: The network.
        count: Images.
        seed: Of the weights, and of the images, which are the same for every network.
        device: ``auto``, ``cpu`` or ``cuda``.

    Raises:
        UserError: There is no such network or device.
    """
    device = choose_device(device)
    enter(device)
    torch.manual_seed(seed)
    network = _placed(TASK.build(subject), device)
    generator = torch.Generator().manual_seed(seed)
    shape = (input_channels(subject), *subject.input_size)
    images = [
        {"inputs": torch.randn(shape, generator=generator), "labels": -1} for _ in range(count)
    ]
    digest = hashlib.sha256(f"normal noise {shape}, seed {seed}".encode()).hexdigest()
    data = Data(name="noise", split="test", samples=count, digest=digest)
    return Classifier(subject, network, images, data, None, device, "torch", "float32")


def _placed(network: nn.Module, device: str) -> nn.Module:
    placed: nn.Module = network.eval().to(device).to(memory_format=torch.channels_last)
    return placed


def pair_up(names: Sequence[str], weights: Sequence[str]) -> list[tuple[str, str]]:
    """Networks with their weights: one file for each, or ``official`` or ``none`` for all.

    Raises:
        UserError: Their numbers differ.
    """
    if list(weights) in (["official"], ["none"]):
        weights = list(weights) * len(names)
    if len(weights) != len(names):
        raise UserError(
            f"--weights is given {len(weights)} time(s) for {len(names)} networks; give one file "
            "for each, in their order"
        )
    return list(zip(names, weights, strict=True))
