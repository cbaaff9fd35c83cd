"""Drawings of meshes: shaded triangles, and each prediction beside its image."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import cv2
import numpy as np

from mogabench.data.images import read_image
from mogabench.engine.drawing import Mosaic
from mogabench.tasks.mesh.alignment import best_similarity
from mogabench.tasks.mesh.pictures import whole

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from numpy.typing import NDArray

    from mogabench.tasks.mesh.alignment import Array
    from mogabench.tasks.mesh.body import Body
    from mogabench.tasks.mesh.code import Parameters
    from mogabench.tasks.mesh.samples import TestSamples
    from mogabench.tasks.mesh.surface import Triangles

_TILE = 160
"""Pixels of each side of an image, of a prediction and of the truth."""

FOUND, _TRUE = (235, 160, 90), (110, 180, 120)
_LIGHT = np.array([-0.4, -0.5, -0.77])
"""Where to, from the object: the viewer's upper left."""

_SUBPIXEL = 4
"""Bits of a pixel that OpenCV draws by."""


def draw_mesh(
    canvas: NDArray[np.uint8],
    points: Array,
    faces: Triangles,
    color: Sequence[float],
    light: Array = _LIGHT,
) -> None:
    """Draws a mesh into a picture, triangle by triangle from the back to the front.

    Args:
        canvas: ``(height, width, 3)``.
        points: ``(V, 3)``: x and y in pixels, z away from the viewer, in pixels, too.
        faces: ``(F, 3)``, counterclockwise as seen from outside, as published meshes have them.
        color: Of a triangle that faces the light.
        light: ``(3,)``, the direction towards it, of length 1.
    """
    corners = points[faces]
    normals = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    normals /= np.linalg.norm(normals, axis=1, keepdims=True).clip(1e-12)
    seen = np.flatnonzero(normals[:, 2] < 0)
    order = seen[np.argsort(-corners[seen, :, 2].mean(1))]
    shades = 0.35 + 0.65 * (normals[order] @ light).clip(0)
    colors = (shades[:, None] * np.asarray(color)).tolist()
    places = np.rint(corners[order, :, :2] * 2**_SUBPIXEL).astype(np.int32)
    for place, shade in zip(places, colors, strict=True):
        cv2.fillConvexPoly(canvas, place, shade, cv2.LINE_AA, _SUBPIXEL)


def in_picture(vertices: Array, scale: Array, shift: Array, side: int) -> Array:
    """Vertices as a picture shows them.

    Args:
        vertices: ``(V, 3)`` in metres.
        scale: ``(1,)``, the camera's.
        shift: ``(2,)``, likewise; see `mogabench.tasks.mesh.code.Parameters`.
        side: Pixels of each side of the picture.

    Returns:
        ``(V, 3)`` in pixels, as `draw_mesh` takes them.
    """
    seen = vertices.copy()
    seen[:, :2] += shift
    seen *= side / 2 * scale
    seen[:, :2] += side / 2
    return seen


def from_the_side(points: Array) -> Array:
    """The same points ``(V, 3)`` as seen from the picture's right, in its middle."""
    x, y, z = points.T
    return np.stack([z - z.mean() + _TILE / 2, y, _TILE / 2 - x], axis=1)


class DrawMeshes(Mosaic):
    """Images, beside each the predicted mesh, below the true one and a side of the predicted one.

    Where the true one is not known, its tile is white.

    Args:
        samples: What is evaluated.
        faces: ``(F, 3)``, the triangles of the meshes.
    """

    def __init__(self, samples: TestSamples, faces: Triangles) -> None:
        super().__init__()
        self.samples, self.faces = samples, faces

    def draw(
        self, batch: dict[str, Any], outputs: Sequence[tuple[Body, Parameters]]
    ) -> Iterator[NDArray[np.uint8]]:
        """Four tiles for each image of a batch, ``(height, width, 3)``."""
        ((body, found),) = outputs
        scales, shifts = found.scale.cpu().numpy(), found.shift.cpu().numpy()
        for place, index in enumerate(batch["index"].tolist()):
            vertices = body.vertices[place].cpu().double().numpy()
            seen = in_picture(vertices, scales[place], shifts[place], _TILE)
            above = self._image(index), self._mesh(seen, FOUND)
            below = self._truth(index, seen), self._mesh(from_the_side(seen), FOUND)
            yield np.vstack([np.hstack(above), np.hstack(below)])

    def _truth(self, index: int, found: Array) -> NDArray[np.uint8]:
        """A hand's true mesh, where the prediction is; of a face there is but a scan."""
        truth = self.samples.truth[index] if self.samples.truth else None
        if not isinstance(truth, tuple):
            return np.full((_TILE, _TILE, 3), 255, np.uint8)
        vertices = truth[1][None]
        return self._mesh(best_similarity(vertices, found[None])(vertices)[0], _TRUE)

    def _image(self, index: int) -> NDArray[np.uint8]:
        image = read_image(self.samples.files[index])
        return whole(image, (_TILE, _TILE)).show(image, (_TILE, _TILE))

    def _mesh(self, points: Array, color: tuple[int, int, int]) -> NDArray[np.uint8]:
        canvas = np.full((_TILE, _TILE, 3), 255, np.uint8)
        draw_mesh(canvas, points, self.faces, color)
        return canvas
