"""``mogabench compare`` as a whole command."""

import json

import pytest
from typer.testing import CliRunner

from mogabench.cli import app
from mogabench.measure.code import counter_code
from mogabench.records import Data, Kind, Provenance, Quantity, Record, Store, Training
from mogabench.subject import Subject
from mogabench.tables.comparison import compare as compare_in
from mogabench.tables.grid import Footnotes
from mogabench.tables.series import spread
from mogabench.tasks import get_task, make_subject
from tests.counted import counted

RESNETS = ("resnet18", "resnet34")
WEIGHTS = {"resnet18": 11_689_512, "resnet34": 21_797_672}
"""Parameters that torchvision's documentation states."""


def compare(*arguments):
    done = CliRunner().invoke(app, ["compare", *map(str, arguments), "--quiet"])
    assert done.exit_code == 0, done.output or done.exception
    return done.stdout


def quality(backbone, value, *, epochs=1, seed=0, digest="0" * 64):
    data = Data(name="folder:mine", split="val", samples=10, digest=digest)
    training = Training(data=data, epochs=epochs, steps=1, batch_size=1)
    return Record(
        subject=Subject(
            task="classification", method="classifier", backbone=backbone, input_size=(32, 32)
        ),
        kind=Kind.QUALITY,
        values={"top1": Quantity(value=value, unit="%")},
        provenance=Provenance(
            command="test", device="cpu", recipe="mine", data=data, training=training, seed=seed
        ),
    )


@pytest.mark.slow
def test_each_task_has_a_section_with_the_networks_that_it_takes(tmp_path):
    text = compare(*RESNETS, "moganet", "--results", tmp_path)
    lines = text.split("\n\n")[0].splitlines()  # the costs; longer lines below name devices
    assert max(map(len, lines)) <= 80
    titles = [line.partition(",")[0] for line in lines if line.endswith(":")]
    assert titles == ["classification", "detection", "mesh", "pose", "segmentation", "video"]
    start = next(place for place, line in enumerate(lines) if line.startswith("classification"))
    assert [line.split()[:2] for line in lines[start + 1 : start + 3]] == [
        [name, f"{WEIGHTS[name] / 1e6:.2f}"] for name in RESNETS
    ]
    video = next(place for place, line in enumerate(lines) if line.startswith("video"))
    assert lines[video + 1].split()[0] == "moganet"


def test_a_network_may_have_a_tag_and_operations_are_those_with_the_products_of_attention(tmp_path):
    names, store = ("resnet18.a1_in1k", "resnet34"), Store(tmp_path)
    for place, name in enumerate(names, 1):
        macs = {"operations_paper": 9e9, "operations_matmul": place * 1e9}
        values = counted(trainable_parameters=place * 1e7, activations=place * 1e6, **macs)
        how = Provenance(command="test", device="meta", code=counter_code())
        subject = make_subject(get_task("classification"), name)
        store.append(Record(subject=subject, kind=Kind.COMPLEXITY, values=values, provenance=how))
    given = ("--tasks", "classification", "--results", tmp_path, "--format", "json")
    costs = json.loads(compare(*names, *given))[:3]
    assert [(line["figure"], list(line["values"].values())) for line in costs] == [
        ("param.", [10.0, 20.0]),
        ("FLOPs, matmul", [1.0, 2.0]),
        ("act.", [1.0, 2.0]),
    ]
    assert list(costs[0]["values"]) == list(names)


def test_qualities_stand_together_only_where_the_conditions_are_the_same(tmp_path):
    store = Store(tmp_path)
    store.append(quality("resnet18", 50.0))
    store.append(quality("resnet34", 60.0))
    store.append(quality("resnet34", 70.0, epochs=9))
    given = ("--tasks", "classification", "--results", tmp_path, "--format", "json")
    lines = [line for line in json.loads(compare(*RESNETS, *given)) if line["figure"] == "Top-1"]
    assert [line["values"] for line in lines] == [
        {"resnet18": 50.0, "resnet34": 60.0},
        {"resnet18": None, "resnet34": 70.0},
    ]
    assert all("folder:mine val" in line["where"] for line in lines)


def test_an_accuracy_is_the_mean_over_the_seeds_of_one_training(tmp_path):
    """The newest of a seed counts, and no training that began otherwise."""
    store = Store(tmp_path)
    other = quality("resnet18", 90.0, seed=7)
    other.provenance.amp = "bfloat16"
    store.append(other)
    for seed, value in ((0, 99.0), (0, 50.0), (1, 60.0), (2, 10.0)):
        store.append(quality("resnet18", value, seed=seed))
    store.append(quality("resnet34", 41.0))
    given = ("--tasks", "classification", "--results", tmp_path)
    found = {line["figure"]: line for line in json.loads(compare(*RESNETS, *given, "-f", "json"))}
    assert found["seeds"]["values"] == {"resnet18": 3, "resnet34": 1}
    assert found["Top-1"]["values"] == {"resnet18": 40.0, "resnet34": 41.0}
    # (10² + 20² + 30²) / 2 is 700.
    assert found["Top-1"]["deviations"] == {"resnet18": pytest.approx(700**0.5)}
    assert [line.split() for line in compare(*RESNETS, *given).splitlines()[-2:]] == [
        ["resnet18", "3", *spread([50.0, 60.0, 10.0]).split()],
        ["resnet34", "1", "41.00"],
    ]


def test_two_folders_of_one_name_are_not_one_data_set(tmp_path):
    store = Store(tmp_path)
    store.append(quality("resnet18", 50.0))
    store.append(quality("resnet34", 60.0, digest="1" * 64))
    given = ("--tasks", "classification", "--results", tmp_path, "--format", "json")
    lines = [line for line in json.loads(compare(*RESNETS, *given)) if line["figure"] == "Top-1"]
    assert [(line["where"].rpartition(" ")[2], line["values"]) for line in lines] == [
        ("0" * 8, {"resnet18": 50.0, "resnet34": None}),
        ("1" * 8, {"resnet18": None, "resnet34": 60.0}),
    ]


def test_throughputs_stand_together_only_for_equal_threads_and_batches(tmp_path):
    store = Store(tmp_path)
    for backbone, value, threads, batch in (
        ("resnet18", 10.0, 1, 1),
        ("resnet34", 30.0, 2, 8),
        ("resnet34", 5.0, 1, 1),
    ):
        where = {"threads": threads, "batch_size": batch}
        subject = make_subject(get_task("classification"), backbone)
        values = {"throughput": Quantity(value=value, unit="img/s")}
        how = Provenance(command="test", device="CPU", **where)
        store.append(Record(subject=subject, kind=Kind.THROUGHPUT, values=values, provenance=how))
    given = ("--tasks", "classification", "--results", tmp_path, "--format", "json")
    found = [one for one in json.loads(compare(*RESNETS, *given)) if one["unit"] == "img/s"]
    mine = [line for line in found if line["where"].partition(" on ")[2].startswith("CPU,")]
    assert [(line["where"].partition(" on ")[2], line["values"]) for line in mine] == [
        ("CPU, 1 thread, batch 1", {"resnet18": 10.0, "resnet34": 5.0}),
        ("CPU, 2 threads, batch 8", {"resnet18": None, "resnet34": 30.0}),
    ]


def test_a_rough_speed_hides_no_converged_one(tmp_path):
    store = Store(tmp_path)
    for rate, passes in ((10.0, 100), (12.0, 2)):
        values = {"throughput": Quantity(value=rate, unit="img/s")}
        values["iterations"] = Quantity(value=passes, unit="1")
        how = Provenance(command="test", device="CPU", threads=1, batch_size=1, code={})
        subject = make_subject(get_task("classification"), "resnet18")
        store.append(Record(subject=subject, kind=Kind.THROUGHPUT, values=values, provenance=how))
    lines = compare_in(get_task("classification"), ["resnet18"], store)
    assert [line.values for line in lines if "on CPU, 1 thread" in line.where] == [[10.0]]


def test_a_speed_of_other_code_or_of_few_passes_is_marked(tmp_path):
    store = Store(tmp_path)
    for backbone, code, passes in (("resnet18", None, 5), ("resnet34", {}, 6)):
        values = {"throughput": Quantity(value=10.0, unit="img/s")}
        values["iterations"] = Quantity(value=passes, unit="1")
        how = Provenance(command="test", device="CPU", threads=1, batch_size=1, code=code)
        subject = make_subject(get_task("classification"), backbone)
        store.append(Record(subject=subject, kind=Kind.THROUGHPUT, values=values, provenance=how))
    given = ("--tasks", "classification", "--results", tmp_path)
    says = "made by other code than this version's; the speed may be off by more than 5 %"
    lines = compare(*RESNETS, *given).splitlines()
    start = next(place for place, line in enumerate(lines) if "on CPU, 1 thread" in line)
    assert [line.split(maxsplit=1) for line in lines[start + 3 : start + 6]] == [
        ["resnet18", "10.0[a]"],
        ["resnet34", "10.0"],
        ["[a]", says],
    ]
    found = json.loads(compare(*RESNETS, *given, "--format", "json"))
    assert [line["notes"] for line in found if "on CPU, 1 thread" in line["where"]] == [
        {"resnet18": says}
    ]


def test_a_slow_network_and_a_share_have_digits(tmp_path):
    store, task = Store(tmp_path), get_task("video")
    how = Provenance(command="test", device="CPU", threads=1, batch_size=1, code={})
    for kind, name, value, unit in (
        (Kind.THROUGHPUT, "throughput", 0.0217, "seq/s"),
        (Kind.QUALITY, "ssim", 0.9263, "1"),
    ):
        values = {name: Quantity(value=value, unit=unit), "iterations": Quantity(value=9, unit="1")}
        subject = make_subject(task, "van")
        store.append(Record(subject=subject, kind=kind, values=values, provenance=how))
    by_figure = {line.figure: line.texts(Footnotes()) for line in compare_in(task, ["van"], store)}
    assert by_figure["throughput"] == ["0.0217"] and by_figure["SSIM"] == ["0.9263"]


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["resnet_18"], "unknown network 'resnet_18'; did you mean resnet18"),
        (["resnet18", "--tasks", "poses"], "unknown task 'poses'; did you mean pose"),
    ],
)
def test_an_unknown_name_is_one_line(arguments, says):
    assert says in str(CliRunner().invoke(app, ["compare", *arguments]).exception)
