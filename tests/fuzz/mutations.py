"""Changes of what is sound, for hypothesis to choose: other values in JSON, other bytes."""

import copy
import json

from hypothesis import strategies as st

ODD = [
    *(None, True, 0, -1, 1e308, -1e308, 1e-320, 2**70, 10**400, "1.5", "NaN", "", "x" * 300),
    *("\u202e\x1b[31m", "<script>", "=1+1", "../../x", "\ud800", "\x00", "2026-01-01"),
    *([], {}, [[]], [1, 2, 3], {"a": 1}, [0, 0], [224], [-1, -1]),
]
DELETED = object()


def places(value, path=()):
    """Where something lies in a document, a few of each list."""
    if path:
        yield path
    inside = value.items() if isinstance(value, dict) else ()
    inside = enumerate(value[:3]) if isinstance(value, list) else inside
    for key, item in inside:
        yield from places(item, (*path, key))


def replaced(document, path, value):
    """A copy with another value there, or without it; itself where there is no such place."""
    changed = copy.deepcopy(document)
    *above, last = path
    holder = changed
    try:
        for key in above:
            holder = holder[key]
        if value is DELETED:
            del holder[last]
        else:
            holder[last] = copy.deepcopy(value)
    except (KeyError, IndexError, TypeError):
        return document
    return changed


def other_json(document):
    """Texts of a JSON document with other values in one or two places."""
    values = st.sampled_from([*ODD, float("nan"), DELETED, DELETED, DELETED]) | st.integers()
    values |= st.floats() | st.text(max_size=4)
    change = st.tuples(st.sampled_from(list(places(document))), values)

    def apply(changes):
        changed = document
        for path, value in changes:
            changed = replaced(changed, path, value)
        return json.dumps(changed).encode()

    return st.lists(change, min_size=1, max_size=2).map(apply)


def other_bytes(content):
    """The content with bytes changed, added or cut away, most of them at its beginning."""
    place = st.integers(0, min(len(content), 200)) | st.integers(0, len(content))
    bytes_there = st.binary(max_size=4) | st.sampled_from([b"\0", b"\xff", b"\xff" * 8, b"[" * 99])
    edit = st.tuples(place, st.integers(0, 4) | st.just(len(content)), bytes_there)

    def apply(edits):
        changed = content
        for start, length, new in edits:
            changed = changed[:start] + new + changed[start + length :]
        return changed

    return st.lists(edit, min_size=1, max_size=3).map(apply)
