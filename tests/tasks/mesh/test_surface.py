import numpy as np
import pytest
from scipy.spatial import ConvexHull
from scipy.spatial.transform import Rotation

from mogabench.tasks.mesh.sample import hand_arrays
from mogabench.tasks.mesh.surface import in_face, scan_error, surface_distances

TRIANGLE = np.array([[0.0, 0, 0], [4, 0, 0], [0, 3, 0]])
FACE = np.array([[0, 1, 2]])


@pytest.mark.parametrize(
    ("point", "distance"),
    [
        ((1, 1, 2.5), 2.5),  # above the inside
        ((1, 1, -2.5), 2.5),  # below
        ((2, -3, 4), 5),  # off the first edge
        ((2 + 3, 1.5 + 4, 0), 5),  # off the long edge, along its normal
        ((-2, -1, 2), 3),  # off a corner
        ((6, 0, 0), 2),  # in line with an edge, beyond its end
        ((0.5, 0.5, 0), 0),
        ((2, 0, 0), 0),
        ((0, 3, 0), 0),
    ],
)
def test_the_nearest_place_of_a_triangle(point, distance):
    points = np.array([point], dtype=float)
    assert surface_distances(points, TRIANGLE, FACE) == pytest.approx([distance], abs=1e-12)


def test_a_triangle_without_an_area_is_a_line():
    line = np.array([[0.0, 0, 0], [4, 0, 0], [2, 0, 0]])
    points = np.array([[3.0, 1, 0], [5, 0, 0]])
    assert surface_distances(points, line, FACE).tolist() == [1, 1]
    dot = np.zeros((3, 3))
    assert surface_distances(points, dot, FACE) == pytest.approx([10**0.5, 5])


def test_large_triangles_beside_small_ones():
    """A fine grid above a huge triangle, which is the nearest for every point below."""
    side = np.linspace(-1, 1, 40)
    grid = np.stack([*np.meshgrid(side, side), np.full((40, 40), 3.0)], -1).reshape(-1, 3)
    corners = np.arange(1600).reshape(40, 40)[:-1, :-1].ravel()
    small = np.concatenate([corners[:, None] + (0, 1, 40), corners[:, None] + (1, 41, 40)])
    large = np.array([[-900.0, -900, 0], [900, -900, 0], [0, 1500, 0]])
    vertices = np.concatenate([grid, large])
    faces = np.concatenate([small, [[1600, 1601, 1602]]])
    points = np.random.default_rng(0).uniform((-1, -1, -5), (1, 1, 1.4), (300, 3))
    assert surface_distances(points, vertices, faces) == pytest.approx(np.abs(points[:, 2]))


def test_points_around_a_hand_are_as_far_as_they_were_moved():
    """Along its normal a place is nearest, as long as nothing else of the hand is nearer."""
    hand = hand_arrays()
    vertices, faces = 1000 * hand["v_template"].astype(float), hand["f"]
    corners = vertices[faces]
    middles = corners.mean(1)
    normals = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    normals /= np.linalg.norm(normals, axis=1, keepdims=True)
    distances = surface_distances(middles + 0.2 * normals, vertices, faces)
    assert distances.max() < 0.2 + 1e-9
    assert np.median(distances) == pytest.approx(0.2, abs=1e-9)
    assert surface_distances(middles, vertices, faces).max() < 1e-9


def nearest(point, triangle):
    """The distance from a triangle, as the least of those from its plane, edges and corners."""
    distances = [np.linalg.norm(point - corner) for corner in triangle]
    for edge in ((0, 1), (1, 2), (2, 0), (0, 1, 2)):
        origin, *ends = triangle[list(edge)]
        sides = np.array(ends) - origin
        shares = np.linalg.lstsq(sides.T, point - origin)[0]
        if (shares >= 0).all() and shares.sum() <= 1:
            distances.append(np.linalg.norm(origin + shares @ sides - point))
    return min(distances)


def test_every_triangle_for_every_point_gives_the_same():
    random = np.random.default_rng(0)
    vertices = random.normal(size=(30, 3))
    faces = random.permuted(np.tile(np.arange(30), (40, 1)), axis=1)[:, :3]
    points = 2 * random.normal(size=(50, 3))
    expected = [min(nearest(point, vertices[face]) for face in faces) for point in points]
    assert surface_distances(points, vertices, faces) == pytest.approx(expected, abs=1e-12)


@pytest.fixture
def sphere():
    """A round mesh of radius 100 and 4000 vertices, and seven marks on its front."""
    random = np.random.default_rng(0)
    vertices = random.normal(size=(4000, 3))
    vertices *= 100 / np.linalg.norm(vertices, axis=1, keepdims=True)
    front = [(-45, 30), (-15, 30), (15, 30), (45, 30), (0, -10), (-25, -40), (25, -40)]
    marks = np.array([(x, y, (100**2 - x**2 - y**2) ** 0.5) for x, y in front])
    return vertices, ConvexHull(vertices).simplices, marks


def test_the_face_of_a_scan():
    marks = np.array([(-45.0, 30, 0), (-15, 30, 0), (15, 30, 0), (45, 30, 0), (0, -10, 0)])
    marks = np.concatenate([marks, np.full((2, 3), 1e3)])
    # The bridge is at y 30, so the middle at -10 + .3 x 40 = 2, the radius 1.2 x (90 + 40) / 2.
    points = np.array([[0, 2 + 77.9, 0], [0, 2 + 78.1, 0], [0, 2, 77.9], [0, 2, -78.1]])
    assert in_face(points, marks).tolist() == [True, False, True, False]


def test_a_scan_of_a_larger_sphere(sphere):
    """In the same frame, a moved and shrunk prediction is exactly the radii's difference off."""
    vertices, faces, marks = sphere
    scan = 1.03 * vertices
    turn = Rotation.from_euler("xyz", [10, 130, 20], degrees=True).as_matrix()
    moved = [0.001 * points @ turn.T + (1, 2, 3) for points in (vertices, marks)]
    error = scan_error(scan, marks, moved[0], faces, moved[1])
    # The vertices are on the sphere, the faces a hair within.
    assert error == pytest.approx(3, abs=0.05)
    assert scan_error(vertices, marks, moved[0], faces, moved[1]) < 1e-9
