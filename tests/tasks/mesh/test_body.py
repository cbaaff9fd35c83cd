import numpy as np
import pytest
import torch
from scipy.spatial.transform import Rotation

from mogabench.tasks.mesh.body import Hand, Head, SkinnedMesh
from mogabench.tasks.mesh.code import Parameters


def parameters(count, rotations, shapes, expressions=0, seed=0):
    random = np.random.default_rng(seed)
    vectors = random.normal(0, 0.4, (count, rotations, 3))
    turns = Rotation.from_rotvec(vectors.reshape(-1, 3)).as_matrix()
    return Parameters(
        rotations=torch.from_numpy(turns).float().reshape(count, rotations, 3, 3),
        shape=torch.from_numpy(random.normal(size=(count, shapes))).float(),
        expression=torch.from_numpy(random.normal(size=(count, expressions))).float(),
        scale=torch.ones(count, 1),
        shift=torch.zeros(count, 2),
    )


def posed(arrays, rotations, shape):
    """Skinning as the papers write it, with 4x4 matrices down the chain, one body at a time."""
    rest = arrays["v_template"] + arrays["shapedirs"] @ shape
    joints = arrays["J_regressor"] @ rest
    bends = (rotations[1:] - np.eye(3)).ravel()
    rest = rest + arrays["posedirs"] @ bends
    parents = arrays["kintree_table"][0]
    chain = []
    for joint, turn in enumerate(rotations):
        step = np.eye(4)
        step[:3, :3] = turn
        step[:3, 3] = joints[joint] - (joints[parents[joint]] if joint else 0)
        chain.append(step if joint == 0 else chain[parents[joint]] @ step)
    back = []
    for joint, transform in enumerate(chain):
        away = np.eye(4)
        away[:3, 3] = -joints[joint]
        back.append(transform @ away)
    blended = np.einsum("vj,jab->vab", arrays["weights"], np.stack(back))
    vertices = np.einsum("vab,vb->va", blended, np.column_stack([rest, np.ones(len(rest))]))
    return vertices[:, :3], np.stack(chain)[:, :3, 3]


def test_an_arm_bends_as_worked_out_by_hand():
    """An upright arm of length 2 with its elbow half way up, where one vertex follows both."""
    heights = np.array([0, 1, 2, 1.5])
    up, quarter = np.array([0.0, 1, 0]), Rotation.from_euler("z", 90, degrees=True).as_matrix()
    corrective = np.zeros((4, 3, 9))
    # Of the bent elbow's rotation minus the identity, row by row, the fourth entry is 1.
    corrective[2, 2, 3] = 0.1
    arm = SkinnedMesh(
        {
            "v_template": heights[:, None] * up,
            "shapedirs": (heights[:, None] * up)[..., None],
            "posedirs": corrective,
            "J_regressor": np.eye(2, 4),
            "weights": np.array([[1, 0], [1, 0], [0, 1], [0.25, 0.75]]),
            "kintree_table": np.array([[2**32 - 1, 0], [0, 1]]),
            "f": np.array([[0, 1, 2]]),
        }
    )
    turns = torch.from_numpy(np.stack([[np.eye(3), quarter], [quarter, np.eye(3)]])).float()
    # The first arm bends its elbow; the second is twice as long and turns at its shoulder.
    vertices, joints = arm.pose(turns, torch.tensor([[0.0], [1.0]]))
    bent = [[0, 0, 0], [0, 1, 0], [-1, 1, 0.1], [0.75 * -0.5, 0.25 * 1.5 + 0.75 * 1, 0]]
    turned = [[0, 0, 0], [-2, 0, 0], [-4, 0, 0], [-3, 0, 0]]
    assert vertices.numpy() == pytest.approx(np.array([bent, turned]), abs=1e-6)
    assert joints.numpy() == pytest.approx(np.array([bent[:2], turned[:2]]), abs=1e-6)


def test_a_hand_bends_as_the_papers_say(hand):
    asked = parameters(3, 16, 10)
    body = Hand(hand)(asked)
    # From the thumb to the little finger; MANO has the little one before the ring finger.
    fingers = ((13, 14, 15), (1, 2, 3), (4, 5, 6), (10, 11, 12), (7, 8, 9))
    for place in range(3):
        rotations, shape = asked.rotations[place].double().numpy(), asked.shape[place].numpy()
        vertices, joints = posed(hand, rotations, shape)
        wrist = joints[0]
        expected = [wrist]
        for finger, tip in zip(fingers, hand["tips"], strict=True):
            expected += [*joints[list(finger)], vertices[tip]]
        assert body.vertices[place].numpy() == pytest.approx(vertices - wrist, abs=1e-6)
        assert body.keypoints[place].numpy() == pytest.approx(np.array(expected) - wrist, abs=1e-6)


def test_a_head_turns_moves_its_jaw_and_smiles(head, landmarks):
    asked = parameters(2, 2, 100, 50)
    static, moving = landmarks
    body = Head(head, static, moving)(asked)
    for place in range(2):
        shape = np.zeros(400)
        shape[:100], shape[300:350] = asked.shape[place], asked.expression[place]
        rotations = np.stack([np.eye(3)] * 5)
        rotations[[0, 2]] = asked.rotations[place].double().numpy()
        vertices, joints = posed(head, rotations, shape)
        assert body.vertices[place].numpy() == pytest.approx(vertices, abs=1e-5)
        corners = vertices[head["f"][static["lmk_face_idx"]]]
        marks = np.einsum("lcx,lc->lx", corners, static["lmk_b_coords"])
        found = body.keypoints[place].numpy()
        assert found[:5] == pytest.approx(joints, abs=1e-5)
        assert found[5:56] == pytest.approx(marks, abs=1e-5)
        # Eye corners, nose, mouth corners among the 51 that exclude the outline's 17 of 68.
        seven = marks[np.array([36, 39, 42, 45, 33, 48, 54]) - 17]
        assert body.landmarks[place].numpy() == pytest.approx(seven, abs=1e-5)


@pytest.mark.parametrize(("degrees", "row"), [(0, 0), (-10, 10), (-60, 39), (10, 49), (60, 78)])
def test_the_outline_follows_the_turn(head, landmarks, degrees, row):
    static, moving = landmarks
    asked = parameters(1, 2, 100, 50)
    turn = Rotation.from_euler("y", degrees, degrees=True).as_matrix()
    asked.rotations[0, 0] = torch.from_numpy(turn).float()
    body = Head(head, static, moving)(asked)
    corners = body.vertices[0].numpy()[head["f"][moving["lmk_face_idx"][row]]]
    expected = np.einsum("lcx,lc->lx", corners, moving["lmk_b_coords"][row])
    assert body.keypoints[0, 56:].numpy() == pytest.approx(expected, abs=1e-6)


def test_nothing_of_a_body_model_is_saved_or_learnt(hand):
    body = Hand(hand)
    assert not body.state_dict()
    assert not list(body.parameters())
