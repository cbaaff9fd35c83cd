"""Files of others' formats that are damaged or odd: read, or refused as `UserError`."""

from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings

from mogabench.errors import UserError
from tests.fuzz.mutations import other_bytes, other_json
from tests.fuzz.readers import READERS, as_bytes, place_of

CORPUS = sorted(Path(__file__).with_name("corpus").glob("*/*"))
"""Files that once were read wrongly, or nearly, in a folder for each reader."""
REPORTS_LINES = {"recipe", "set"}
"""What lists every mistake, each on a line."""

fuzzing = settings(
    max_examples=1500,
    deadline=None,
    database=None,
    derandomize=True,
    suppress_health_check=list(HealthCheck),
)


@pytest.fixture(autouse=True)
def cache(monkeypatch, tmp_path_factory):
    monkeypatch.setenv("MOGABENCH_CACHE", str(tmp_path_factory.mktemp("cache")))


def read(name, file, content):
    """Whether the content is read, and not refused."""
    file.write_bytes(content)
    try:
        READERS[name].read(file)
    except UserError as error:
        assert name in REPORTS_LINES or "\n" not in str(error)
        assert len(str(error)) < 2000
        return False
    return True


@pytest.mark.parametrize("name", READERS)
def test_a_sound_file_is_read(name, tmp_path):
    file = place_of(READERS[name], tmp_path)
    assert read(name, file, as_bytes(READERS[name].sound))


@pytest.mark.parametrize("kept", CORPUS, ids=lambda file: f"{file.parent.name}/{file.name}")
def test_a_kept_file_is_refused(kept, tmp_path):
    name = kept.parent.name
    assert not read(name, place_of(READERS[name], tmp_path), kept.read_bytes())


@pytest.mark.slow
@pytest.mark.parametrize("name", READERS)
def test_a_damaged_file_is_read_or_refused(name, tmp_path):
    file, sound = place_of(READERS[name], tmp_path), READERS[name].sound
    contents = other_bytes(as_bytes(sound))
    if not isinstance(sound, bytes):
        contents = other_json(sound) | other_json(sound) | contents
    count = {True: 0, False: 0}

    @fuzzing
    @given(contents)
    def check(content):
        count[read(name, file, content)] += 1

    check()
    print(name, count)
    assert all(count.values())
