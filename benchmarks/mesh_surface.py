"""Times a scan's distance from a mesh against trimesh's and a loop, and checks that they agree.

    python benchmarks/mesh_surface.py

The mesh has FLAME's 5023 vertices, on an egg as large as a head, and the scan 5000 points around
its front, 2 mm off. trimesh, which MMHuman3D's evaluation calls, needs the packages trimesh and
rtree; where they are missing only the loop is compared: each point against all triangles at once,
in NumPy. The project's aim is less than a second; all run on one core.

The floor is the reading of points and triangles, microseconds; in between lie two trees of a few
thousand points, some 10 ms, and the exact distances of about a dozen triangles for each point.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import numpy as np
from scipy.spatial import ConvexHull

from mogabench.tasks.mesh.surface import surface_distances

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    Array = NDArray[np.float64]

VERTICES, POINTS, ROUNDS = 5023, 5000, 5
HALF_AXES = np.array([75.0, 100.0, 90.0])
"""Of the egg, in mm."""


def on_a_sphere(count: int) -> Array:
    """Points ``(count, 3)`` along a spiral, about equally far from each other."""
    steps = np.arange(count) + 0.5
    height = 1 - 2 * steps / count
    angle = np.pi * (1 + 5**0.5) * steps
    around = np.stack([np.cos(angle), np.sin(angle)], 1) * np.sqrt(1 - height**2)[:, None]
    return np.column_stack([around, height])


def by_loop(points: Array, vertices: Array, faces: NDArray[np.int64]) -> Array:
    """The nearest of all triangles, one point after the other (Ericson, 2004, Section 5.1.5)."""
    a, b, c = vertices[faces].swapaxes(0, 1)
    ab, ac = b - a, c - a
    found = []
    for point in points:
        d1, d2 = ((point - a) * ab).sum(1), ((point - a) * ac).sum(1)
        d3, d4 = ((point - b) * ab).sum(1), ((point - b) * ac).sum(1)
        d5, d6 = ((point - c) * ab).sum(1), ((point - c) * ac).sum(1)
        va, vb, vc = d3 * d6 - d5 * d4, d5 * d2 - d1 * d6, d1 * d4 - d3 * d2
        along_ab, along_ac = d1 / (d1 - d3), d2 / (d2 - d6)
        along_bc = (d4 - d3) / ((d4 - d3) + (d5 - d6))
        where = [
            (d1 <= 0) & (d2 <= 0),
            (d3 >= 0) & (d4 <= d3),
            (vc <= 0) & (d1 >= 0) & (d3 <= 0),
            (d6 >= 0) & (d5 <= d6),
            (vb <= 0) & (d2 >= 0) & (d6 <= 0),
            (va <= 0) & (d4 >= d3) & (d5 >= d6),
        ]
        zero, one = np.zeros_like(d1), np.ones_like(d1)
        v = np.select(where, [zero, one, along_ab, zero, zero, 1 - along_bc], vb / (va + vb + vc))
        w = np.select(where, [zero, zero, zero, one, along_ac, along_bc], vc / (va + vb + vc))
        nearest = a + v[:, None] * ab + w[:, None] * ac
        found.append(np.linalg.norm(point - nearest, axis=1).min())
    return np.array(found)


def by_trimesh(points: Array, vertices: Array, faces: NDArray[np.int64]) -> Array:
    """What MMHuman3D's evaluation calls."""
    import trimesh

    mesh = trimesh.Trimesh(vertices, faces, process=False)
    distances: Array = trimesh.proximity.closest_point(mesh, points)[1]
    return distances


def seconds(work: Callable[[], Array], rounds: int) -> tuple[float, Array]:
    """The shortest of several runs, since the others had less of the core; and what came of it."""
    laps = []
    for _ in range(rounds):
        began = time.perf_counter()
        result = work()
        laps.append(time.perf_counter() - began)
    return min(laps), result


def main() -> None:
    vertices = on_a_sphere(VERTICES)
    faces = ConvexHull(vertices).simplices.astype(np.int64)
    vertices = vertices * HALF_AXES
    front = on_a_sphere(4 * POINTS)[:POINTS] * HALF_AXES
    points = front + np.random.default_rng(0).normal(0, 2, front.shape)
    ours, distances = seconds(lambda: surface_distances(points, vertices, faces), ROUNDS)
    print(f"{len(points)} points, {len(vertices)} vertices, {len(faces)} faces: {ours:.3f} s")
    for name, work in (("trimesh", by_trimesh), ("loop", by_loop)):
        try:
            theirs, expected = seconds(lambda work=work: work(points, vertices, faces), 1)
        except ImportError as error:
            print(f"{name}: {error}")
            continue
        difference = np.abs(distances - expected).max()
        print(f"{name} {theirs:.2f} s, ratio {theirs / ours:.0f}; differs by {difference:.1e} mm")


if __name__ == "__main__":
    main()
