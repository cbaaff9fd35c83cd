"""Pickles of arrays: read as NumPy reads them where they are sound, refused where they are not."""

import pickle
import subprocess
import sys

import numpy as np
import pytest
from scipy.sparse import csc_matrix

from mogabench.errors import UserError
from mogabench.tasks.mesh.pickles import read_pickle

RANDOM = np.random.default_rng(0)
ARRAYS = {
    "doubles": RANDOM.normal(size=(3, 4, 5)),
    "columns": np.asfortranarray(RANDOM.normal(size=(3, 4)).astype("f4")),
    "big endian": np.arange(6, dtype=">u4").reshape(2, 3),
    "bytes": np.arange(7, dtype="u1"),
    "truth": np.array([True, False]),
    "a number": np.array(2.5),
    "nothing": np.zeros((0, 3)),
}


@pytest.mark.parametrize("protocol", [2, 3, 4, 5])
def test_sound_pickles_are_read_as_numpy_reads_them(protocol, tmp_path):
    file = tmp_path / "body.pkl"
    file.write_bytes(pickle.dumps(ARRAYS | {"scalar": np.float32(1.5)}, protocol=protocol))
    found = read_pickle(file)
    assert found.pop("scalar") == 1.5
    for name, array in ARRAYS.items():
        assert found[name].dtype == array.dtype.newbyteorder("=")
        np.testing.assert_array_equal(found[name], array)


def test_a_sparse_matrix_is_the_dense_one(tmp_path):
    dense = np.where(RANDOM.random((5, 6)) < 0.4, RANDOM.normal(size=(5, 6)), 0)
    (tmp_path / "a.pkl").write_bytes(pickle.dumps({"J": csc_matrix(dense)}, protocol=2))
    np.testing.assert_array_equal(read_pickle(tmp_path / "a.pkl")["J"], dense)


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"_shape": (5, 10**9)}, "of the shape"),
        ({"indptr": np.array([0, 10**12])}, "do not fit"),
        ({"indptr": np.array([3, 0, 0, 0, 0, 0, 0])}, "do not fit"),
        ({"indices": [0]}, "not lists of numbers"),
    ],
)
def test_a_lying_sparse_matrix_is_refused(change, says, tmp_path):
    matrix = csc_matrix(np.eye(6))
    matrix.__dict__.update(change)
    (tmp_path / "a.pkl").write_bytes(pickle.dumps(matrix, protocol=2))
    with pytest.raises(UserError, match=says):
        read_pickle(tmp_path / "a.pkl")


@pytest.mark.parametrize(
    ("array", "before", "after", "says"),
    [
        (np.zeros(4), b"X\x02\x00\x00\x00f8", b"X\x02\x00\x00\x00O8", "several objects"),
        (np.zeros(4), b"X\x02\x00\x00\x00f8", b"X\x02\x00\x00\x00V8", "array of V8"),
        (np.zeros(4), b"K\x04\x85", b"K\x05\x85", "32 bytes for the shape \\(5,\\)"),
        (np.array(["ab"]), b"", b"", "array of U2, not of numbers"),
        (np.array([None, {}]), b"", b"", "several objects"),
    ],
)
def test_arrays_that_are_not_what_they_say_are_refused(array, before, after, says, tmp_path):
    content = pickle.dumps(array, protocol=2)
    assert before in content
    (tmp_path / "a.pkl").write_bytes(content.replace(before, after, 1) if before else content)
    with pytest.raises(UserError, match=says):
        read_pickle(tmp_path / "a.pkl")


def test_a_file_cannot_change_the_reader(tmp_path):
    """BUILD with slots sets attributes of whatever it is given, a class among that."""
    attack = b"cchumpy\nCh\n(N}(X\x0c\x00\x00\x00__setstate__K\x01utb."
    (tmp_path / "a.pkl").write_bytes(attack)
    with pytest.raises(UserError, match="change a class"):
        read_pickle(tmp_path / "a.pkl")


FUZZ = """
import random, sys
from pathlib import Path
from mogabench.errors import UserError
from mogabench.tasks.mesh.pickles import read_pickle
file, count = Path(sys.argv[1]), int(sys.argv[2])
sound = file.read_bytes()
random.seed(0)
read = 0
for number in range(count):
    content = bytearray(sound)
    for _ in range(random.choice([1, 1, 2, 4])):
        place = random.randrange(len(content))
        flipped = content[place] ^ 1 << random.randrange(8)
        content[place] = random.choice([random.randrange(256), flipped])
    file.write_bytes(content)
    try:
        read_pickle(file)
        read += 1
    except UserError:
        pass
print(read)
"""


@pytest.mark.slow
def test_damaged_pickles_are_read_or_refused_and_nothing_else(tmp_path):
    """In a process of its own, as a crash would be one of the interpreter."""
    file = tmp_path / "body.pkl"
    content = {"a": ARRAYS, "J": csc_matrix(np.eye(4)), "f": np.arange(6).reshape(2, 3)}
    file.write_bytes(pickle.dumps(content, protocol=2))
    command = [sys.executable, "-c", FUZZ, str(file), "20000"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=600)
    assert done.returncode == 0, done.stderr[-2000:]
    assert 1000 < int(done.stdout) < 19000  # changes of numbers are read, those of structure not
