from mogabench.analysis.labels import network_labels
from mogabench.records import Kind, Record, provenance
from mogabench.subject import Subject


def record(backbone, weights, side=32, **options):
    subject = Subject(
        task="classification",
        method="classifier",
        backbone=backbone,
        input_size=(side, side),
        options=options,
    )
    where = provenance(device="a CPU", weights=weights)
    return Record(subject=subject, kind=Kind.INTERACTION, values={}, provenance=where)


def test_options_of_all_are_left_out():
    records = [record("xt", "a", depth=2), record("xt", None, depth=2, gate=False)]
    assert network_labels(records) == ["xt", "xt (gate=False), untrained"]


def test_one_network_has_all_its_options():
    records = [record("xt", "a", side, depth=2) for side in (32, 64)]
    assert network_labels(records[:1]) == ["xt (depth=2)"]
    assert network_labels(records) == ["xt (depth=2)", "xt (depth=2)"]


def test_weights_tell_equal_networks_apart():
    records = [record("xt", "a" * 64), record("t", "b" * 64), record("xt", "c" * 64)]
    assert network_labels(records) == ["xt, weights aaaaaaaa", "t", "xt, weights cccccccc"]
