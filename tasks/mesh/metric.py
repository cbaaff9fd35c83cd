"""The errors of meshes: PA-MPJPE and PA-MPVPE of hands, distances from scans of faces."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from mogabench.engine.metric import GatheredMetric
from mogabench.errors import UserError
from mogabench.tasks.mesh.alignment import aligned_errors
from mogabench.tasks.mesh.surface import scan_error

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import Tensor

    from mogabench.tasks.mesh.alignment import Array
    from mogabench.tasks.mesh.body import Body
    from mogabench.tasks.mesh.samples import TestSamples
    from mogabench.tasks.mesh.surface import Triangles

_MM = 1000.0
"""Millimetres in a metre."""


_DIGITS = 6
"""Of a coordinate in metres that is written: micrometres."""


class Found(NamedTuple):
    """What is noted of an image.

    Attributes:
        place: The image's number.
        errors: By the task's metrics, in mm; none without a truth.
        points: Key points ``(K, 3)``, of a face its landmarks, in metres; only where predictions
            are to be written.
        vertices: ``(V, 3)`` likewise.
    """

    place: int
    errors: dict[str, float]
    points: list[list[float]] | None = None
    vertices: list[list[float]] | None = None


class MeshMetric(GatheredMetric):
    """Averages over images.

    Args:
        samples: The truth.
    """

    def __init__(self, samples: TestSamples) -> None:
        super().__init__()
        self.samples = samples

    def process(self, data_batch: dict[str, Any], data_samples: Sequence[tuple[Body, Any]]) -> None:
        """Notes the errors of a batch."""
        ((body, _),) = data_samples
        for place, index in enumerate(data_batch["index"].tolist()):
            vertices, keypoints, landmarks = (
                _array(points[place]) for points in (body.vertices, body.keypoints, body.landmarks)
            )
            found = Found(index, {})
            if self.annotated:
                found = Found(index, self.errors(index, vertices, keypoints, landmarks))
            if self.predictions is not None:
                points = landmarks if len(landmarks) else keypoints
                found = found._replace(points=as_metres(points), vertices=as_metres(vertices))
            self.results.append(found)

    def errors(
        self, index: int, vertices: Array, keypoints: Array, landmarks: Array
    ) -> dict[str, float]:
        """The errors in one image, by the task's metrics, in mm.

        Args:
            index: The image's number.
            vertices: ``(V, 3)`` of the predicted mesh.
            keypoints: ``(K, 3)``.
            landmarks: ``(7, 3)`` of a face.
        """
        raise NotImplementedError

    def compute_metrics(self, results: list[Found]) -> dict[str, float]:
        """The averages of the images' errors."""
        names = results[0].errors
        return {name: float(np.mean([found.errors[name] for found in results])) for name in names}

    def encode(self, results: list[Found]) -> str:
        """FreiHAND's ``pred.json``: all images' key points, then all images' vertices, in metres.

        Images are in the data set's order, with null for those that could not be read. A face has
        its seven landmarks in the place of key points. Where in space a body is, its distance from
        the camera, a network does not say: only figures after alignment may be made of the file.
        """
        by_place = {found.place: found for found in results}
        places = range(len(self.samples.files))
        return json.dumps(
            [
                [by_place[n].points if n in by_place else None for n in places],
                [by_place[n].vertices if n in by_place else None for n in places],
            ]
        )


class HandErrors(MeshMetric):
    """PA-MPJPE of the 21 key points and PA-MPVPE of the vertices, in mm.

    Args:
        samples: FreiHAND's.
        vertices: How many the body model has; the truth must have as many.

    Raises:
        UserError: The truth is of another mesh.
    """

    def __init__(self, samples: TestSamples, vertices: int) -> None:
        super().__init__(samples)
        expected = len(samples.truth[0][1]) if samples.truth else vertices
        if expected != vertices:
            raise UserError(
                f"the hands in {samples.identity.name} have {expected} vertices, the body model "
                f"{vertices}; both should be MANO's"
            )

    def errors(
        self, index: int, vertices: Array, keypoints: Array, landmarks: Array
    ) -> dict[str, float]:
        """See `MeshMetric`."""
        true_keypoints, true_vertices = self.samples.truth[index]
        pairs = {"pa_mpjpe": (keypoints, true_keypoints), "pa_mpvpe": (vertices, true_vertices)}
        return {
            name: _MM * float(aligned_errors(found[None], true[None])[0])
            for name, (found, true) in pairs.items()
        }


class FaceErrors(MeshMetric):
    """The mean distance of Stirling/ESRC's scans from the predicted surface, in mm.

    Args:
        samples: Stirling/ESRC's.
        faces: ``(F, 3)``, the triangles of the body model.
    """

    def __init__(self, samples: TestSamples, faces: Triangles) -> None:
        super().__init__(samples)
        self.faces = faces

    def errors(
        self, index: int, vertices: Array, keypoints: Array, landmarks: Array
    ) -> dict[str, float]:
        """See `MeshMetric`."""
        scan = self.samples.truth[index]
        error = scan_error(scan.points(), scan.landmarks, vertices, self.faces, landmarks)
        return {"rmse_3d": error}


def as_metres(points: Array) -> list[list[float]]:
    """Points ``(N, 3)`` as they are written, to micrometres."""
    rounded: list[list[float]] = points.round(_DIGITS).tolist()
    return rounded


def _array(points: Tensor) -> Array:
    return points.detach().cpu().double().numpy()
