import pytest
import torch
from scipy.spatial.transform import Rotation
from torch.nn import functional

from mogabench.tasks import load_recipe
from mogabench.tasks.mesh.code import CODES, from_axis_angle, to_matrices, to_sixes
from mogabench.tasks.mesh.losses import angles, beyond, losses


@pytest.fixture
def rotations():
    torch.manual_seed(0)
    vectors = torch.randn(6, 3, dtype=torch.float64)
    vectors[0] = 0
    return vectors


def test_axis_and_angle_as_scipy_has_it(rotations):
    expected = torch.from_numpy(Rotation.from_rotvec(rotations.numpy()).as_matrix())
    torch.testing.assert_close(from_axis_angle(rotations), expected)


def test_the_six_numbers_of_a_rotation(rotations):
    matrices = from_axis_angle(rotations)
    sixes = to_sixes(matrices)
    torch.testing.assert_close(to_matrices(sixes), matrices)
    # The two columns may be of any length, and the second one askew.
    columns = sixes.unflatten(-1, (3, 2))
    askew = torch.stack([3 * columns[..., 0], columns[..., 0] + 0.5 * columns[..., 1]], -1)
    torch.testing.assert_close(to_matrices(askew.flatten(-2)), matrices)


@pytest.mark.parametrize(
    ("method", "scale", "first"),
    [("expose_hand", 0.9, (1, 1, 1)), ("expose_face", 8.0, (1, -1, -1))],
)
def test_where_the_regression_starts(method, scale, first):
    code = CODES[method]
    found = code.read(code.start()[None])
    assert found.scale.item() == pytest.approx(scale)
    torch.testing.assert_close(found.rotations[0, 0], torch.diag(torch.tensor(first).float()))
    assert (found.rotations[0, 1:] == torch.eye(3)).all()
    assert not found.shape.any()
    assert not found.expression.any()
    points = torch.tensor([[[0.1, -0.2, 5.0]]])
    expected = torch.tensor([[[0.1 * scale, -0.2 * scale]]])
    torch.testing.assert_close(found.project(points), expected)


def test_the_angle_between_rotations(rotations):
    matrices = from_axis_angle(rotations)
    turn = Rotation.from_euler("zyx", [70, 20, -130], degrees=True)
    expected = torch.full((6,), float(turn.magnitude()), dtype=torch.float64)
    turned = matrices @ torch.from_numpy(turn.as_matrix())
    torch.testing.assert_close(angles(matrices, turned), expected)


@pytest.mark.parametrize("angle", [0.0, 1e-4, 1.0, torch.pi - 1e-3, torch.pi])
def test_angles_and_their_gradients_in_single_precision(angle):
    """Around any axis the angle itself comes out, and its slope is 1 but at the two ends."""
    torch.manual_seed(0)
    axes = functional.normalize(torch.randn(5, 3, dtype=torch.float64), dim=-1)
    found = {}
    for kind in (torch.float32, torch.float64):
        turn = torch.full((5, 1), angle, dtype=kind, requires_grad=True)
        around = from_axis_angle(axes.to(kind) * turn)
        away = angles(around, torch.eye(3, dtype=kind))
        away.sum().backward()
        found[kind] = away.detach().double(), turn.grad.double()
    single, double = found[torch.float32], found[torch.float64]
    expected = torch.full((5,), angle, dtype=torch.float64)
    torch.testing.assert_close(single[0], expected, atol=2e-6, rtol=0)
    assert single[1].isfinite().all()
    if 0 < angle < torch.pi:
        torch.testing.assert_close(double[1], torch.ones(5, 1, dtype=torch.float64))
        torch.testing.assert_close(single[1], double[1], atol=2e-3, rtol=0)


def test_shapes_within_the_margin_are_free():
    assert beyond(torch.tensor([[2.9, -3.0]]), 3.0) == 0
    assert beyond(torch.tensor([[4.0, 1.0], [-6.0, 3.0]]), 3.0) == (16 + 36) / 2


def test_losses_worked_out_by_hand():
    code = CODES["expose_face"]
    vectors = code.start().repeat(2, 1)
    vectors[1, 12] = 5.0
    found = code.read(vectors)
    quarter = torch.zeros(2, 2, 3)
    quarter[:, 0, 0] = torch.pi
    quarter[1, 1, 1] = torch.pi / 2
    target = {
        "keypoints": torch.full((2, 3, 2), 0.25),
        "rotations": quarter,
        "turn": torch.eye(3).repeat(2, 1, 1),
        "shape": torch.zeros(2, 100),
        "expression": torch.tensor([[0.2], [7.0]]).expand(2, 50),
        "has_expression": torch.tensor([True, False]),
    }
    weigh = load_recipe("expose_face_100e", overrides=["loss.shape=2.0"]).loss
    values = losses(found, torch.zeros(2, 3, 3), target, weigh)
    assert {name: value.item() for name, value in values.items()} == pytest.approx(
        {
            "loss_keypoints": 6 * 0.25,
            # The upside-down start is half a turn, as annotated.
            "loss_rotations": torch.pi / 4,
            "loss_shape": 2 * 25 / 2,
            "loss_expression": 50 * 0.04,
            "loss_shape_prior": 25,
        }
    )


def test_a_turned_picture_turns_the_body():
    """What is left are 0.2 radians of the whole hand, and 0.3 of one of its 15 joints."""
    code = CODES["expose_hand"]
    angle = torch.tensor(0.5)
    turn = from_axis_angle(torch.stack([torch.tensor(0.0), torch.tensor(0.0), angle]))
    vector = code.start()
    vector[:6] = to_sixes(turn)
    rotations = torch.zeros(1, 16, 3)
    rotations[0, 0, 2], rotations[0, 5, 1] = 0.2, 0.3
    target = {
        "keypoints": torch.zeros(1, 21, 2),
        "rotations": rotations,
        "turn": turn[None],
        "shape": torch.zeros(1, 10),
        "expression": torch.zeros(1, 0),
        "has_expression": torch.tensor([True]),
    }
    values = losses(
        code.read(vector[None]),
        torch.zeros(1, 21, 3),
        target,
        load_recipe("expose_hand_100e", overrides=["loss.keypoints=0.0"]).loss,
    )
    assert set(values) == {"loss_rotations", "loss_shape_prior"}
    assert values["loss_rotations"].item() == pytest.approx(0.2 + 0.3 / 15, abs=1e-6)
