"""Records that somebody changed: set aside, or read and read back, and no command stops at them."""

import json
import random

import pytest
from typer.testing import CliRunner

from mogabench.cli import app
from mogabench.records import Kind, Record, packaged_results
from tests.fuzz.mutations import DELETED, ODD, places, replaced


def mutate(record, rng):
    for _ in range(rng.choice([1, 1, 2])):
        odd = rng.choice([*ODD, DELETED, DELETED, DELETED])
        record = replaced(record, rng.choice(list(places(record))), odd)
    return json.dumps(record)


def mutated(kind, count, rng):
    file = packaged_results() / "records" / f"{kind}.jsonl"
    if not file.exists():
        return []
    lines = file.read_text().splitlines()
    sound = [json.loads(line) for line in rng.sample(lines, min(60, len(lines)))]
    return [mutate(rng.choice(sound), rng) for _ in range(count)]


@pytest.mark.slow
def test_what_is_accepted_can_be_read_back():
    rng, accepted = random.Random(0), 0
    for kind in Kind:
        for line in mutated(kind, 5000, rng):
            try:
                record = Record.model_validate_json(line)
            except ValueError:
                continue
            accepted += 1
            assert Record.model_validate_json(record.line()) == record
            assert len(record.id) == 12
    assert accepted > 3000


@pytest.mark.slow
def test_no_command_stops_at_odd_records(tmp_path):
    rng = random.Random(1)
    (tmp_path / "records").mkdir()
    for kind in Kind:
        text = "\n".join(mutated(kind, 700, rng)) + "\n"
        (tmp_path / "records" / f"{kind}.jsonl").write_text(text)
    for command in (
        ["report", "--quiet"],
        ["table", "all", "--quiet"],
        ["table", "all", "--format", "json", "--quiet"],
        ["list", "models", "--task", "detection"],
        ["show", "moganet_tiny"],
        ["compare", "moganet_tiny", "resnet50", "--quiet"],
        ["doctor"],
    ):
        done = CliRunner().invoke(app, [*command, "--results", str(tmp_path)])
        assert done.exit_code == 0, (command, done.exception)
