"""Plans: what they expand to, what is missing of them, and what they cost."""

import hashlib
import shlex

import pytest
import typer
from typer.testing import CliRunner

from mogabench.cli import app
from mogabench.errors import UserError
from mogabench.paper.skeleton import write_skeleton
from mogabench.records import Data, Kind, Provenance, Record, Store
from mogabench.subject import Subject
from mogabench.sweeps.cluster import minutes
from mogabench.sweeps.estimate import find_device, hours, subject_of
from mogabench.sweeps.missing import missing
from mogabench.sweeps.plan import Measurement, core, expand, read_plan
from tests.counted import counted

PLAN = """
- run: classification
  backbone: [resnet18, resnet34]
  data: sample
  train: true
  seeds: 2
  set: {schedule.epochs: 1, optimizer.betas: [0.9, 0.95]}
- profile: [resnet18, resnet34]
  dtype: [float32, bfloat16]
  gpu: true
"""


def write(path, text=PLAN):
    path.write_text(text)
    return path


def sweep(*arguments):
    done = CliRunner().invoke(app, ["sweep", *map(str, arguments)])
    assert done.exit_code == 0, done.output or done.exception
    return done.stdout


def record(subject, kind, command="mogabench", *, device="Some GPU", **values):
    return Record(
        subject=subject,
        kind=kind,
        values=counted(**values),
        provenance=Provenance(command=command, device=device, code={}),
    )


def network(backbone):
    return Subject(
        task="classification", method="classifier", backbone=backbone, input_size=(224, 224)
    )


def test_a_plan_is_a_grid_of_commands(tmp_path):
    commands = [str(item) for entry in read_plan(write(tmp_path / "p")) for item in expand(entry)]
    settings = "--set schedule.epochs=1 --set 'optimizer.betas=[0.9,0.95]'"
    assert commands == [
        f"mogabench run classification --backbone {backbone} --data sample --train "
        f"{settings} --set seed={seed}"
        for backbone in ("resnet18", "resnet34")
        for seed in (0, 1)
    ] + [
        f"mogabench profile {backbone} --dtype {dtype} --gpu"
        for backbone in ("resnet18", "resnet34")
        for dtype in ("float32", "bfloat16")
    ]


def test_a_grid_may_be_of_tasks(tmp_path):
    plan = write(tmp_path / "plan.yaml", "- {profile: moganet_small, task: [pose, video]}")
    (pose, video) = (item for entry in read_plan(plan) for item in expand(entry))
    assert (pose.task, video.task) == ("pose", "video")
    with pytest.raises(UserError, match="unknown translator 'moganet_small'"):
        subject_of(video)
    assert subject_of(pose).key == "pose/simple_baseline/moganet_small@256x192"


def test_false_is_written_as_the_command_writes_it():
    """``--no-NAME`` where the command line has it, else nothing."""
    top = typer.main.get_command(app)
    pose = top.get_command(None, "run").get_command(None, "pose")
    profile = top.get_command(None, "profile")
    for command, entry in ((pose, {"run": "pose"}), (profile, {"profile": "resnet18"})):
        for flag in (option for option in command.params if getattr(option, "is_flag", False)):
            (item,) = expand({**entry, flag.opts[0].removeprefix("--"): False})
            assert item.words[2:] == tuple(flag.secondary_opts)


def test_what_a_record_was_made_by_is_not_missing(tmp_path):
    plan = write(tmp_path / "plan.yaml")
    words = "--backbone resnet34 --data sample --train --set schedule.epochs=1"
    words += " --set 'optimizer.betas=[0.9,0.95]' --set seed=1"
    elsewhere = f"mogabench run classification {words} --results /a --work-dir=/b --resume -q"
    store = Store(tmp_path / "results")
    store.append(record(network("resnet34"), Kind.QUALITY, elsewhere, top1=1))
    interrupted = elsewhere.replace("seed=1", "seed=0")  # when the network was counted
    store.append(record(network("resnet34"), Kind.COMPLEXITY, interrupted))
    found = missing(read_plan(plan), store)
    assert found.done == 1 and len(found.measurements) == 7
    assert core(shlex.split(elsewhere)[1:]) not in [core(m.words) for m in found.measurements]
    assert "7 to measure, 1 measured before" in sweep(
        plan, "--dry-run", "--results", tmp_path / "results"
    )


def test_what_was_measured_on_another_folders_data_is_missing(tmp_path, monkeypatch):
    """A relative path is the same text in both folders, also in records of earlier versions."""
    run = {"run": "classification", "backbone": "resnet18", "data": "pets", "weights": "w/a.pth"}
    tables = {"tables": [3], "data": {"classification": "pets"}}
    store, words = Store(tmp_path / "results"), "--backbone resnet18 --data pets --weights w/a.pth"
    earlier = f"mogabench run classification {words}"
    store.append(record(network("resnet18"), Kind.QUALITY, earlier, top1=1))
    for top1, home in enumerate((tmp_path / "a", tmp_path / "b"), 2):
        (home / "pets").mkdir(parents=True)
        (home / "w").mkdir()
        (home / "w" / "a.pth").touch()
        monkeypatch.chdir(home)
        (item,) = missing([run], store).measurements
        found = (item.value("--data"), item.value("--weights"))
        assert found == (str(home / "pets"), str(home / "w" / "a.pth"))
        store.append(record(network("resnet18"), Kind.QUALITY, str(item), top1=top1))
        assert missing([run], store).done == 1
        on_data = {item.value("--data") for item in missing([tables], store).measurements}
        assert on_data == {str(home / "pets"), None}


def test_the_sample_and_the_released_weights_are_no_paths(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in ("sample", "official", "resnet18"):
        (tmp_path / name).mkdir()
    entry = {"run": "classification", "backbone": "resnet18", "data": "sample"}
    (item,) = expand(entry | {"weights": "official"})
    words = "--backbone resnet18 --data sample --weights official"
    assert item.words[2:] == tuple(words.split())


def test_files_of_an_entry_are_those_of_its_folder(tmp_path, monkeypatch):
    """And the names of a recipe and a package stay names, whatever the folder has."""
    monkeypatch.chdir(tmp_path)
    for name in ("sample_pets.yaml", "mine.py"):
        (tmp_path / name).touch()
    for name in ("sample_pets", "mine"):
        (tmp_path / name).mkdir()
    (files,) = expand({"run": "pose", "recipe": "sample_pets.yaml", "import": "./mine.py"})
    assert files.value("--recipe") == str(tmp_path / "sample_pets.yaml")
    assert files.value("--import") == str(tmp_path / "mine.py")
    (names,) = expand({"run": "pose", "recipe": "sample_pets", "import": "mine"})
    assert (names.value("--recipe"), names.value("--import")) == ("sample_pets", "mine")
    (paths,) = expand({"run": "pose", "class_map": "mine", "boxes": "sample_pets"})
    assert paths.value("--class-map") == str(tmp_path / "mine")
    assert paths.value("--boxes") == str(tmp_path / "sample_pets")


def test_the_device_is_part_of_what_is_timed_and_not_of_what_is_evaluated(tmp_path):
    store, command = Store(tmp_path / "results"), "mogabench run classification --backbone resnet18"
    timed = {"run": "classification", "backbone": "resnet18", "device": ["cpu", "cuda"]}
    evaluated = {**timed, "data": "sample", "weights": "w.pth"}
    store.append(record(network("resnet18"), Kind.QUALITY, f"{command} --device cpu", top1=1))
    evaluation = f"{command} --data sample --weights w.pth --device cpu"
    store.append(record(network("resnet18"), Kind.QUALITY, evaluation, top1=2))
    assert [str(item) for item in missing([timed], store).measurements] == [
        f"{command} --device cuda"
    ]
    assert missing([evaluated], store).measurements == []


def test_a_timing_of_another_processor_is_missing_here(tmp_path, monkeypatch):
    monkeypatch.setattr("mogabench.sweeps.missing.cpu_name", lambda: "This one")
    store, command = Store(tmp_path / "results"), "mogabench profile {} --batch-size 1 --threads 1"
    plan = [{"profile": ["moganet_tiny", "moganet_small"], "batch_size": 1, "threads": 1}]
    table = [{"tables": [1], "paper": "since_2024"}]
    here, elsewhere = (command.format(name) for name in plan[0]["profile"])
    for name, device in zip(plan[0]["profile"], ("This one", "Another"), strict=True):
        call = command.format(name)
        timed = record(network(name), Kind.THROUGHPUT, call, device=device, throughput=1)
        where = timed.provenance.model_copy(update={"threads": 1, "batch_size": 1})
        store.append(timed.model_copy(update={"provenance": where}))
    assert [str(item) for item in missing(plan, store).measurements] == [elsewhere]
    found = [str(item) for item in missing(table, store).measurements]
    assert elsewhere in found and here not in found


def test_a_training_of_a_table_is_missing_until_each_of_its_seeds_is_there(tmp_path):
    """Not once one of them has filled the cell."""
    store = Store(tmp_path)
    train = {"tables": ["A5"], "data": {"classification": "/d"}, "train": True}
    found = missing([train | {"seeds": 2}], store)
    first, second, *others = found.measurements
    assert (first.words[-1], second.words[-1]) == ("seed=0", "seed=1")
    where = {"device": "Some GPU", "recipe": "in1k_300e", "pretraining": "none"}
    data = Data(name="imagenet-1k", split="val", samples=50_000, digest="0" * 64)
    trained = Provenance(command=str(first), data=data, **where)
    of = {"subject": subject_of(first), "kind": Kind.QUALITY}
    store.append(Record(values=counted(top1=80), provenance=trained, **of))
    again = missing([train | {"seeds": 2}], store)
    assert (again.measurements, again.done) == ([second, *others], 1)
    assert again.left_out == found.left_out
    assert not [m for m in missing([train], store).measurements if m.words == first.words[:-2]]


def test_a_table_of_data_of_ones_own_is_not_measured_on_other_data(tmp_path):
    folder = write_skeleton("mine", tmp_path)
    (folder / "table_1_An_example.csv").write_text(
        "task,method,backbone,input_size,pretraining,dataset,Architecture,Top-1\n"
        "classification,classifier,resnet50,224x224,none,folder:flowers,Mine,90.1\n"
        "classification,classifier,resnet18,224x224,none,folder:birds,Mine,90.1\n"
    )
    plan = {"tables": "all", "paper": "mine", "papers": str(tmp_path)}
    data = {"data": {"classification": str(tmp_path / "flowers")}}
    assert dict(missing([plan | data], Store(tmp_path / "results")).left_out) == {
        "Table 1 of mine: needs folder:birds, which is not the plan's data of classification": 1,
        "Table 1 of mine: needs weights that are not released": 1,
    }


def test_rows_of_networks_that_are_not_here_are_left_out_and_counted(tmp_path):
    """Such as those of ``--import``, which a plan of tables does not name."""
    table = write_skeleton("mine", tmp_path) / "table_1_An_example.csv"
    table.write_text(table.read_text().replace("resnet50", "my_net"))
    plan = [{"tables": "all", "paper": "mine", "papers": str(tmp_path)}]
    left_out = missing(plan, Store(tmp_path / "results")).left_out
    assert left_out["Table 1 of mine: there is no backbone 'my_net' here"] > 0


def test_on_a_cluster_this_machine_says_nothing_of_what_can_run_and_is_done(tmp_path, monkeypatch):
    """Its processor and its GPU are not those of the nodes."""
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    on_cpu = "mogabench profile moganet_tiny --batch-size 1 --threads 1"
    timed = record(network("moganet_tiny"), Kind.THROUGHPUT, on_cpu, device="A node", throughput=1)
    where = timed.provenance.model_copy(update={"threads": 1, "batch_size": 1})
    store = Store(tmp_path)
    store.append(timed.model_copy(update={"provenance": where}))
    table = [{"tables": [1], "paper": "since_2024"}]
    on_gpu = "mogabench profile moganet_tiny --gpu --dtype bfloat16 --channels-last"
    for elsewhere in (False, True):
        found = missing(table, store, elsewhere=elsewhere)
        commands = list(map(str, found.measurements))
        assert (on_cpu in commands, on_gpu in commands) == (not elsewhere, elsewhere)
        assert any("needs a GPU" in reason for reason in found.left_out) != elsewhere
    plan = write(tmp_path / "p", "- {profile: moganet_tiny, batch_size: 1, threads: 1}")
    given = (plan, "--dry-run", "--results", tmp_path)
    assert "1 to measure, 0 measured before" in sweep(*given)
    assert "0 to measure, 1 measured before" in sweep(*given, "--slurm", "partition=a")


@pytest.mark.parametrize(
    ("code", "done"), [({}, 1), ({"mogabench.models.moganet": "0" * 12}, 0), (None, 0)]
)
def test_a_timing_of_any_gpu_is_not_missing_unless_other_code_made_it(tmp_path, code, done):
    store, command = Store(tmp_path / "results"), "mogabench profile moganet_tiny --gpu"
    timed = record(network("moganet_tiny"), Kind.THROUGHPUT, command, throughput=1)
    where = timed.provenance.model_copy(update={"driver": "550.1", "code": code})
    store.append(timed.model_copy(update={"provenance": where}))
    assert missing([{"profile": "moganet_tiny", "gpu": True}], store).done == done


def test_a_timing_of_an_edited_network_of_ones_own_is_missing(tmp_path):
    """Its code is found once it is imported."""
    file, store = tmp_path / "edited_net.py", Store(tmp_path / "results")
    file.write_text("")
    command = f"mogabench profile moganet_tiny --gpu --import {file}"
    timed = record(network("moganet_tiny"), Kind.THROUGHPUT, command, throughput=1)
    code = {"edited_net": hashlib.sha256(b"").hexdigest()[:12]}
    entry = {"profile": "moganet_tiny", "gpu": True, "import": str(file)}
    for known, done in (({"edited_net": "0" * 12}, 0), (code, 1)):
        where = timed.provenance.model_copy(update={"driver": "550.1", "code": known})
        store.append(timed.model_copy(update={"provenance": where}))
        assert missing([entry], store).done == done


def test_tables_give_what_is_not_measured_and_can_be(tmp_path):
    data = "{classification: /data/in1k, pose: /data/coco}"
    plan = write(tmp_path / "p", f"- tables: [3, A14, 6]\n  data: {data}\n")
    text = sweep(plan, "--dry-run", "--results", tmp_path / "results")
    lines = [line for line in text.splitlines() if line.startswith("mogabench run")]
    assert "--variant s --size 224x224 --data /data/in1k --recipe in1k_300e --weights off" in text
    assert all("--train" not in line and " video " not in line for line in lines)
    assert "of Table A14: the plan names no data of video" in text
    assert "of Table 3: needs weights that are not released" in text
    assert "of Table 6: needs --boxes FILE, which an entry 'run: pose' can name" in text


@pytest.mark.slow
def test_tables_may_be_another_papers(tmp_path):
    plan = write(tmp_path / "p", "- tables: all\n  paper: openstl\n  data: {video: /data/mm}\n")
    text = sweep(plan, "--dry-run", "--results", tmp_path / "results")
    assert "--backbone moganet --size 10x1x64x64 --data /data/mm --recipe mmnist_2000e" in text
    # 13 translators by two recipes, and the two that are not in MogaNet's paper have no throughput
    assert "28 to measure, 0 measured before" in text


def test_hours_are_those_of_the_samples_at_the_recorded_rate(tmp_path):
    """300 epochs of 1 281 167 // 1024 steps, forward and twice that backward, and 50 000 images."""
    store = Store(tmp_path)
    store.append(record(network("resnet18"), Kind.THROUGHPUT, throughput=1000.0))
    store.append(record(network("resnet18"), Kind.COMPLEXITY, operations_paper=2e9))
    store.append(record(network("resnet34"), Kind.COMPLEXITY, operations_paper=4e9))
    device = find_device("some gpu", store)
    for backbone, rate in (("resnet18", 1000), ("resnet34", 500)):
        words = f"run classification --backbone {backbone} --data /d --recipe in1k_300e"
        evaluation = Measurement((*words.split(), "--weights", "official"))
        training = Measurement((*words.split(), "--train"))
        seconds = 50_000 / rate
        assert hours(evaluation, device, store) == pytest.approx(seconds / 3600)
        seconds += 3 * 300 * (1_281_167 // 1024) * 1024 / rate
        assert hours(training, device, store) == pytest.approx(seconds / 3600)
    timing = Measurement(("run", "classification", "--backbone", "resnet18"))
    assert hours(timing, device, store) == pytest.approx(60 / 3600)  # as `profile` takes
    with pytest.raises(UserError, match="unknown device with a recorded throughput 'h100'"):
        find_device("h100", store)


@pytest.mark.parametrize(
    ("words", "trained", "evaluated", "size"),
    [
        ("classification --recipe rsb_a3_100e", 100 * 625 * 2048, 50_000, (160 / 224) ** 2),
        ("classification --recipe in1k_300e_256", 300 * 1251 * 1024, 50_000, (256 / 224) ** 2),
        ("classification --recipe in1k_300e --size 256", 300 * 1251 * 1024, 50_000, 1),
        ("segmentation --method upernet", 160_000 * 16, 2_000, 1 / 4),  # 512x512 of 512x2048
        ("detection --method mask_rcnn", 12 * 7329 * 16, 5_000, 1),
        # short sides from 480 to 800 in steps of 32
        ("detection --method mask_rcnn --recipe mask_rcnn_ms3x", 36 * 7329 * 16, 5_000,
         sum((side / 800) ** 2 for side in range(480, 801, 32)) / 11),
        ("video", 200 * 625 * 16, 10_000, 1),
    ],
)  # fmt: skip
def test_a_training_takes_the_time_of_its_own_size(words, trained, evaluated, size, tmp_path):
    backbone = "gsta" if words == "video" else "resnet18"
    given = ("run", *words.split(), "--backbone", backbone, "--data", "/d", "--train")
    item, store = Measurement(given), Store(tmp_path)
    store.append(record(subject_of(item), Kind.THROUGHPUT, throughput=1000.0))
    store.append(record(subject_of(item), Kind.COMPLEXITY, operations_paper=2e9))
    seconds = (3 * trained * size + evaluated) / 1000
    assert hours(item, find_device("some", store), store) == pytest.approx(seconds / 3600)


def test_the_network_may_be_a_translator_or_of_an_ablation(tmp_path):
    """Table A5's fourth network, whose options are those of its row."""
    video = Measurement(("run", "video", "--translator", "gsta", "--data", "/d"))
    assert subject_of(video).key == "video/simvp/gsta@10x1x64x64"
    ablated = Measurement(("run", "classification", "--ablation", "A5/4", "--data", "/d"))
    subject = subject_of(ablated)
    assert (subject.backbone, len(subject.options)) == ("moganet_tiny", 3)
    assert dict(subject.options)["depthwise"] == "dw5+dw5d2+dw7d3"
    larger = Measurement(("run", "classification", "--ablation", "A7/12", "--data", "/d"))
    assert subject_of(larger).input_size == (256, 256)
    store = Store(tmp_path)
    store.append(record(subject, Kind.THROUGHPUT, throughput=500.0))
    store.append(record(subject, Kind.COMPLEXITY, operations_paper=2e9))
    assert hours(ablated, find_device("some", store), store) == pytest.approx(100 / 3600)


def test_options_make_another_network(tmp_path):
    """A plan's tables name ablated networks by their options."""
    words = "run classification --backbone moganet_tiny --data /d --option gate_act=none"
    item = Measurement((*words.split(), "--option", "mlp_ratios=[4,4]"))
    assert dict(subject_of(item).options) == {"gate_act": "none", "mlp_ratios": (4, 4)}
    store = Store(tmp_path)
    for subject, macs, rate in ((network("moganet_tiny"), 1e9, 1000), (subject_of(item), 2e9, 500)):
        store.append(record(subject, Kind.THROUGHPUT, throughput=rate))
        store.append(record(subject, Kind.COMPLEXITY, operations_paper=macs))
    assert hours(item, find_device("some", store), store) == pytest.approx(100 / 3600)


def test_a_device_may_have_a_name_that_is_part_of_anothers(tmp_path):
    store = Store(tmp_path)
    store.append(record(network("resnet18"), Kind.COMPLEXITY, operations_paper=2e9))
    for device in ("NVIDIA H100", "NVIDIA H100 NVL"):
        store.append(record(network("resnet18"), Kind.THROUGHPUT, device=device, throughput=1.0))
    assert find_device("nvidia h100", store).name == "NVIDIA H100"
    assert find_device("nvl", store).name == "NVIDIA H100 NVL"
    with pytest.raises(UserError, match="'h100' is part of several devices' names"):
        find_device("h100", store)


def test_of_a_budget_what_fits_is_taken_in_order(tmp_path):
    store = Store(tmp_path / "results")
    store.append(record(network("resnet18"), Kind.THROUGHPUT, throughput=1000.0, device="My X1"))
    text = "- run: classification\n  backbone: resnet18\n  data: /d\n  weights: [official, a, b]\n"
    given = ["--results", tmp_path / "results", "--dry-run", "--gpu", "x1", "--hours", 0.03]
    shown = sweep(write(tmp_path / "p", text), *given)
    assert "2 to measure" in shown and "1 beyond --hours" in shown  # 50 s each, of 108 s


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("run: classification", "must be a YAML list of entries"),
        ("- rum: pose", "entry 1 of .*: unknown command 'rum'; did you mean run"),
        ("- run: poze\n  backbone: resnet18", "unknown task 'poze'; did you mean pose"),
        ("- run: pose\n  backbone: resnet_18", "unknown backbone 'resnet_18'; did you mean resn"),
        ("- run: video\n  translator: gstaa", "unknown translator 'gstaa'; did you mean gsta"),
        ("- run: pose\n  backbone: resnet18\n  bach-size: 1", "unknown option of pose '--bach-si"),
        (
            "- run: pose\n  seeds: 2\n  set: {seed: 7, schedule.epochs: 1}",
            "both choose the seed: keep one",
        ),
        ("- run: pose\n  seeds: 2\n  set: [ema=null, seed=7]", "both choose the seed: keep one"),
        ("- run: pose\n  backbone: resnet18\n  seeds: many", "seeds: 'many' is not"),
        ("- run: pose\n  backbone: resnet18\n  seeds: 0", "seeds: 0 is not"),
        ("- run: pose\n  backbone: resnet18\n  seeds: 1000000000000", "a number of seeds, up to"),
        ("- {run: pose, backbone: resnet18, time_budget: 6m}", "time_budget: a sweep resumes"),
        ("- profile: resnet18\n  batch_sizes: 1", "batch-sizes"),
        (
            "- {run: pose, backbone: resnet18, size: big}",
            "--size big is not a size such as 256x192",
        ),
        ("- {profile: resnet18, size: 0}", "--size 0 is not a size such as 224x224"),
        ("- tables: [99]", "unknown table '99'"),
        ("- {tables: [1], paper: [convnext, rdnet]}", "paper: .*: an entry is of one paper"),
        ("- {tables: [1], paper: convnext, papers: 5}", "papers: 5: an entry is of one paper"),
        ("- tables: [3]\n  recipe: a", "take data, paper, papers, seeds, tables, train, not"),
    ],
)
def test_a_plan_that_is_wrong_is_refused_before_anything_runs(text, says, tmp_path):
    plan = write(tmp_path / "plan.yaml", text)
    given = ["sweep", plan, "--results", tmp_path / "results", "--work-dir", tmp_path / "work"]
    error = CliRunner().invoke(app, list(map(str, given))).exception
    assert isinstance(error, UserError)
    with pytest.raises(UserError, match=says):
        raise error
    assert {path.name for path in tmp_path.iterdir()} == {"plan.yaml"}


def test_times_of_slurm():
    """Each form of sbatch's manual (``--time``), and those with a unit."""
    given = "90 30:00 02:30:00 1-12 1-12:30 1-12:00:00 00:00:30 8h 1.5h 2d 30m"
    expected = [90, 30, 150, 36 * 60, 36 * 60 + 30, 36 * 60, 1, 480, 90, 2 * 24 * 60, 30]
    assert [minutes(text) for text in given.split()] == expected
    for text in ("soon", "1:2:3:4", "-5", "1--5", "-3h"):
        with pytest.raises(UserError, match=f"time={text}: give minutes"):
            minutes(text)
