import pytest

from mogabench.records import Data, Kind, Quantity, Record, Store, Training, provenance
from mogabench.subject import Subject
from mogabench.tables.series import correlations, render_series, split_series, spread
from mogabench.tables.trainings import render_trainings, trainings


def record(network, seed, mse, *, digest="0", how=None, **options):
    """An invented training of a small SimVP."""
    data = Data(name="folder:digits", split="train", samples=4000, digest=digest)
    return Record(
        subject=Subject(
            task="video",
            method="simvp",
            backbone=network,
            input_size=(10, 1, 32, 32),
            options=options,
        ),
        kind=Kind.QUALITY,
        values={"mse": Quantity(value=mse, unit="1")},
        provenance=provenance(
            seed=seed,
            weights=f"{network} {seed}",
            recipe="sample_video",
            recipe_digest=f"seed {seed}",
            training=Training(data=data, epochs=1, steps=600, batch_size=4),
            data=data,
            **({"device": "a CPU"} | (how or {})),
        ),
    )


# By Table A14's MSE after 200 epochs: moganet, van, convnext, vit; after 2000: the same.
ORDERED = {"vit": (44.0, 40.0), "moganet": (10.0, 12.0), "gsta": (9.0, 9.5), "van": (20.0, 26.0)}


def series_of(figures):
    records = [
        record(name, seed, mse) for name in figures for seed, mse in enumerate(figures[name])
    ]
    (series,), single = split_series(records)
    assert not single
    return series


def test_rows_have_means_and_deviations_in_the_printed_order():
    head, _, *rows = render_series(series_of(ORDERED))
    assert head.startswith("| translator | seeds | MSE | printed: Table A14, 200 epochs: MSE↓ | ")
    # 11 and 23 are the means; of two values, the deviation is the difference over the root of 2.
    assert rows == [
        "| moganet | 2 | 11.0 ± 1.4 | 25.57 | 15.67 |",
        "| van | 2 | 23.0 ± 4.2 | 26.10 | 16.21 |",
        "| vit | 2 | 42.0 ± 2.8 | 35.15 | 19.74 |",
        "| gsta | 2 | 9.25 ± 0.35 | — | — |",
    ]


@pytest.mark.parametrize(("van", "expected"), [(23.0, "1.00"), (5.0, "0.50"), (50.0, "0.50")])
def test_the_order_is_compared_with_the_printed_one(van, expected):
    lines = list(correlations(series_of(ORDERED | {"van": (van, van)})))
    assert [line[-4:] for line in lines] == [expected, expected]
    assert all("order of 3 networks" in line for line in lines)


def test_networks_that_differ_in_options_are_rows_of_one_table(tmp_path):
    records = [
        record("moganet", seed, 10.0 + seed, depth=2, **own)
        for own in ({}, {"gate": False})
        for seed in (0, 1)
    ]
    page = render_trainings(records, tmp_path)
    assert page.count("## ") == 1 and "- options of all networks: depth=2" in page
    assert "| moganet | 2 | 10.50 ± 0.71 |\n" in page
    assert "| moganet gate=false | 2 | 10.50 ± 0.71 |" in page


@pytest.mark.parametrize(
    ("values", "text"),
    [
        ([12.344], "12.34"),
        ([97.0, 97.0], "97 ± 0"),
        ([1.0, 2.0, 3.0], "2.0 ± 1.0"),
        ([100, 100, 100, 100, 99.99], "99.9980 ± 0.0045"),
        ([0.0, 0.1408], "0.07 ± 0.10"),  # a deviation of 0.0996
        ([1000.0, 3000.0], "2000 ± 1400"),
    ],
)
def test_a_mean_has_the_decimals_of_its_deviation(values, text):
    assert spread(values) == text


def test_other_data_or_a_single_seed_is_no_series():
    alone = [record("vit", 0, 40.0), record("van", 0, 20.0), record("vit", 1, 1.0, digest="1")]
    assert split_series(alone) == ([], alone)
    (series,), single = split_series([*alone, record("vit", 1, 42.0)])
    assert {name: len(found) for name, found in series.by_network.items()} == {"vit": 2, "van": 1}
    assert single == alone[2:]


@pytest.mark.parametrize("how", [{"amp": "bfloat16"}, {"initial_weights": "a" * 64}])
def test_another_start_or_arithmetic_is_another_training(how, tmp_path):
    store = Store(tmp_path)
    kept = [record("vit", seed, 40.0 + seed, how=one) for one in ({}, how) for seed in (0, 1)]
    for one in kept:
        store.append(one)
    assert trainings(store) == kept
    series, single = split_series(kept)
    assert not single
    assert [one.by_network["vit"] for one in series] == [kept[:2], kept[2:]]
    page = render_trainings(kept, tmp_path)
    assert page.count("- started from the weights aaaaaaaaaaaa, pretraining unknown") == (
        "initial_weights" in how
    )


def test_the_page_has_one_section_for_a_series(tmp_path):
    machines = {0: {"commit": "1" * 40}, 1: {"device": "a GPU", "commit": "2" * 40}}
    records = [
        record(name, seed, 10.0 + seed, how=machines[seed])
        for name in ("vit", "van")
        for seed in (0, 1)
    ]
    page = render_trainings(records, tmp_path)
    assert page.count("## ") == 1
    assert "\n- a CPU, commit 1111111111\n- a GPU, commit 2222222222\n- `" in page
    assert "## video: 2 translators by sample_video, 10x1x32x32" in page
    assert "trained for 1 epoch(s): 600 steps of 4, on 4000 train samples of folder:digits" in page
    assert "| van | 2 | 10.50 ± 0.71 | 26.10 | 16.21 |" in page
