"""The hand or the face in images of the user's own, as meshes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np
from PIL import Image

from mogabench.data.views import normalize, transform
from mogabench.engine.drawing import TILE
from mogabench.engine.prediction import Prediction, Predictor
from mogabench.tasks.mesh.drawing import FOUND, draw_mesh, in_picture
from mogabench.tasks.mesh.metric import as_metres
from mogabench.tasks.mesh.pictures import whole

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mogabench.engine.job import Job
    from mogabench.engine.prediction import Item
    from mogabench.tasks.mesh.alignment import Array
    from mogabench.tasks.mesh.model import MeshEstimator
    from mogabench.tasks.mesh.surface import Triangles

_COVERED = 0.8
"""How much of the image a mesh hides."""


@dataclass(frozen=True)
class MeshPrediction(Prediction):
    """The hand or face that fills an image.

    Attributes:
        vertices: ``(V, 3)`` in metres: x to the right, y down, z away from the viewer.
        keypoints: ``(K, 3)`` likewise: FreiHAND's 21 of a hand, NoW's 7 landmarks of a face.
        faces: ``(F, 3)``, the triangles.
        scale: ``(1,)``, the camera's: half widths of the square picture per metre.
        shift: ``(2,)``, the camera's, in metres, before scaling.
    """

    vertices: Array
    keypoints: Array
    faces: Triangles
    scale: Array
    shift: Array

    def to_json(self) -> list[dict[str, Any]]:
        """One entry with key points, vertices and camera; the triangles are the body model's."""
        return [
            {
                "image": self.item.name,
                "keypoints": as_metres(self.keypoints),
                "vertices": as_metres(self.vertices),
                "camera": {"scale": float(self.scale[0]), "shift": self.shift.tolist()},
            }
        ]

    def describe(self) -> str:
        """The mesh's size."""
        extent = 100 * (self.vertices.max(0) - self.vertices.min(0))
        size = " x ".join(f"{side:.1f}" for side in extent)
        return f"{len(self.vertices)} vertices, {size} cm (width, height, depth)"

    def draw(self) -> Image.Image:
        """The image, and beside it the mesh over it."""
        image = self.item.pixels()
        larger = max(1.0, TILE / max(image.shape[:2]))
        image = np.asarray(cv2.resize(image, None, fx=larger, fy=larger), np.uint8)
        side = max(image.shape[:2])
        points = in_picture(self.vertices, self.scale, self.shift, side)
        size = (side, side)
        points[:, :2] = transform(points[:, :2], whole(image, size).to_image(size))
        covered = image.copy()
        draw_mesh(covered, points, self.faces, FOUND)
        mixed = cv2.addWeighted(covered, _COVERED, image, 1 - _COVERED, 0)
        return Image.fromarray(np.hstack([image, np.asarray(mixed, np.uint8)]))


class MeshPredictor(Predictor):
    """A mesh network, whose images each show one hand or face and little else.

    Args:
        job: See `Predictor`.
        model: Likewise.
        notes: Likewise.
    """

    def __init__(self, job: Job[Any, Any], model: MeshEstimator, notes: Sequence[str]) -> None:
        super().__init__(job, model, notes)
        self.faces = model.body.faces

    def predict_item(self, item: Item) -> MeshPrediction:
        """See `Predictor`."""
        height, width = self.job.subject.input_size
        image = item.pixels()
        picture = whole(image, (height, width)).show(image, (height, width))
        ((body, found),) = self.run({"inputs": normalize(picture)[None]})
        vertices, keypoints, landmarks, scale, shift = (
            part[0].cpu().double().numpy()
            for part in (body.vertices, body.keypoints, body.landmarks, found.scale, found.shift)
        )
        points = landmarks if len(landmarks) else keypoints
        return MeshPrediction(item, vertices, points, self.faces, scale, shift)
