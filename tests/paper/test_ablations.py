"""The names of the paper's ablations, by what the paper says of the networks."""

import pytest

from mogabench.errors import UserError
from mogabench.measure.sweep import sweep
from mogabench.paper import Paper, ablations, get_paper, get_variant, subject_of
from mogabench.paper.skeleton import write_skeleton
from mogabench.records import Kind, Store
from mogabench.tables.costs import cost

PAPER = get_paper()


def test_each_accuracy_of_the_tables_has_a_name():
    found = {
        name: [one.printed for one in item.variants] for name, item in ablations(PAPER).items()
    }
    assert found["A5"] == [77.2, 77.4, 77.5, 77.5, 77.5, 77.6, 77.7, 77.8]
    assert (found["A4"][0], found["A4"][-1], len(found["A4"])) == (76.3, 77.2, 12)
    assert (found["A6"][0], found["A6"][-1], len(found["A6"])) == (78.4, 84.4, 24)
    assert (found["A7"][0], found["A7"][-1], len(found["A7"])) == (72.2, 80.0, 12)
    assert [len(found[name]) for name in ("1", "4c", "7")] == [6, 12, 5]


def test_a_name_says_which_network():
    variant = get_variant(PAPER, "a6/18")
    assert variant.label.startswith("Architecture: MogaNet-B; ")
    assert (variant.printed, variant.meta.backbone) == (83.9, "moganet_base")
    assert variant.meta.options == {"norm_after": "ln", "norm_within": "bn"}
    assert variant.meta.settings == {"ema": None}


def test_a_paper_of_ones_own_may_write_numbers_without_quotes(tmp_path):
    folder = write_skeleton("mine", tmp_path)
    (folder / "ablations.yaml").write_text("1: {table: 1, metric: top1}")
    variant = get_variant(Paper("mine", folder), "1/1")
    assert (variant.label, variant.printed) == ("ResNet-50", 76.1)


@pytest.mark.parametrize("name", ["A5/9", "A5", "A5/", "A9/1", ""])
def test_other_names_are_refused(name):
    with pytest.raises(UserError, match="unknown ablation"):
        get_variant(PAPER, name)


def test_channel_aggregation_costs_what_its_layers_have(tmp_path):
    """A 1x1 convolution to one channel with its bias, and a scale for each hidden channel."""
    store, ratio = Store(tmp_path), 2
    metas = [get_variant(PAPER, name).meta for name in ("4c/1", "4c/9")]
    assert sweep([subject_of(meta) for meta in metas], store, quiet=True) == []
    plain, aggregated = (cost(meta, "params", None, store).value for meta in metas)
    blocks = zip((64, 128, 320, 512), (2, 3, 12, 2), strict=True)
    assert aggregated - plain == sum(depth * (2 * ratio * dim + 1) for dim, depth in blocks)


@pytest.mark.slow
def test_every_network_counts(tmp_path):
    store = Store(tmp_path)
    subjects = {subject_of(one.meta) for item in ablations(PAPER).values() for one in item.variants}
    assert sweep(list(subjects), store, quiet=True) == []
    assert len(list(store.all(Kind.COMPLEXITY))) == len(subjects)
