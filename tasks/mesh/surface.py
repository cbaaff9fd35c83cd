"""How far points are from a triangle mesh's surface, and the Stirling/ESRC error made of that."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy.spatial import KDTree

from mogabench.tasks.mesh.alignment import best_similarity

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from mogabench.tasks.mesh.alignment import Array

    Triangles = NDArray[np.integer[Any]]

LANDMARKS = (
    *("right eye, outer corner", "right eye, inner corner"),
    *("left eye, inner corner", "left eye, outer corner"),
    *("nose, bottom", "mouth, right corner", "mouth, left corner"),
)
"""What scan and prediction are aligned by, in the data set's order."""

_PAIRS_AT_ONCE = 1_000_000
"""Points and triangles that are compared in one go; bounds the memory."""


def scan_error(
    scan: Array, scan_landmarks: Array, vertices: Array, faces: Triangles, landmarks: Array
) -> float:
    """The mean distance of a scan's face from a predicted mesh (Feng et al., FG 2018).

    The paper's tables call it 3DRMSE, but no square is taken and no root.

    Args:
        scan: ``(P, 3)`` in mm.
        scan_landmarks: ``(7, 3)`` as in `LANDMARKS`, in mm.
        vertices: ``(V, 3)`` in any unit and frame: they are aligned by the landmarks.
        faces: ``(F, 3)`` numbers of vertices.
        landmarks: ``(7, 3)``, those of the predicted mesh.

    Returns:
        The distance in mm, over the scan's points in a ball around the middle of its face.
    """
    similarity = best_similarity(landmarks[None], scan_landmarks[None])
    face = scan[in_face(scan, scan_landmarks)]
    return float(surface_distances(face, similarity(vertices[None])[0], faces).mean())


def in_face(scan: Array, landmarks: Array) -> NDArray[np.bool_]:
    """Which of a scan's points ``(P, 3)`` count, by its seven landmarks ``(7, 3)``."""
    nose_bottom, nose_bridge = landmarks[4], landmarks[1:3].mean(0)
    middle = nose_bottom + 0.3 * (nose_bridge - nose_bottom)
    extents = landmarks[0] - landmarks[3], nose_bridge - nose_bottom
    radius = 1.2 * sum(np.linalg.norm(extent) for extent in extents) / 2
    inside: NDArray[np.bool_] = np.linalg.norm(scan - middle, axis=1) <= radius
    return inside


def surface_distances(points: Array, vertices: Array, faces: Triangles) -> Array:
    """The distance of each point from the nearest place on a mesh: inside, edge or corner.

    Exact: a triangle can only be nearest if its centre is no farther than the nearest vertex plus
    the triangle's radius, and a tree of the centres finds those.

    Args:
        points: ``(P, 3)``.
        vertices: ``(V, 3)``.
        faces: ``(F, 3)`` numbers of vertices.

    Returns:
        ``(P,)``, in the points' unit.
    """
    triangles = vertices[faces]
    best: Array = KDTree(triangles.reshape(-1, 3)).query(points)[0]
    for group in _alike_in_size(triangles):
        centres = group.mean(1)
        radius = np.linalg.norm(group - centres[:, None], axis=2).max()
        # A hair more, for what rounding takes away.
        reach = (best + radius) * (1 + 1e-9)
        near = KDTree(centres).query_ball_point(points, reach)
        for some in _in_parts(near):
            counts = np.fromiter(map(len, near[some]), int)
            pairs = np.fromiter((n for numbers in near[some] for n in numbers), int, counts.sum())
            found = np.flatnonzero(counts)
            if len(found):
                distances = _distances(np.repeat(points[some], counts, axis=0), group[pairs])
                starts = (counts.cumsum() - counts)[found]
                places = some.start + found
                nearest = np.minimum.reduceat(distances, starts)
                best[places] = np.minimum(best[places], nearest)
    return best


def _alike_in_size(triangles: Array) -> Iterator[Array]:
    """Groups of triangles: a few large ones shall not make the search for all others wide."""
    radii = np.linalg.norm(triangles - triangles.mean(1, keepdims=True), axis=2).max(1)
    smallest = radii.max() / 1000 or 1.0
    sizes = np.ceil(np.log2(np.maximum(radii, smallest)))
    for size in np.unique(sizes):
        yield triangles[sizes == size]


def _in_parts(near: NDArray[np.object_]) -> Iterator[slice]:
    """Runs of points that have so many triangles to look at together."""
    ends = np.fromiter(map(len, near), int).cumsum() // _PAIRS_AT_ONCE
    edges = [0, *(np.flatnonzero(np.diff(ends)) + 1).tolist(), len(near)]
    for start, end in pairwise(edges):
        yield slice(start, end)


def _distances(points: Array, triangles: Array) -> Array:
    """The distance of each point ``(P, 3)`` from a triangle of its own ``(P, 3, 3)``."""
    edges = np.roll(triangles, -1, axis=1) - triangles
    offsets = points[:, None] - triangles
    along = np.einsum("pij,pij->pi", offsets, edges)
    lengths = np.einsum("pij,pij->pi", edges, edges)
    share = np.divide(along, lengths, out=np.zeros_like(along), where=lengths > 0).clip(0, 1)
    from_edges = np.square(offsets - share[..., None] * edges).sum(-1).min(1)
    normal = np.cross(edges[:, 0], edges[:, 1])
    sides = np.einsum("pij,pj->pi", np.cross(edges, offsets), normal)
    area = np.square(normal).sum(-1)
    above = (sides >= 0).all(1) & (area > 0)
    height = np.einsum("pj,pj->p", offsets[:, 0], normal)
    from_plane = np.divide(height**2, area, out=np.full_like(area, np.inf), where=above)
    distances: Array = np.sqrt(np.minimum(from_edges, from_plane))
    return distances
