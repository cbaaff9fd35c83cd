"""Sweeps that run: here, by submitit's local executor, and on a SLURM of scripts."""

import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest
from typer.testing import CliRunner

from mogabench.cli import app
from mogabench.records import Kind, Store
from mogabench.sweeps import local
from mogabench.sweeps.cluster import Job, run_by, slurm_executor
from mogabench.sweeps.local import Children, Place, execute, run_here
from mogabench.sweeps.plan import Measurement

submitit = pytest.importorskip("submitit", reason="needs mogabench[slurm]")

CHILD = """
import os, signal, sys, time
from pathlib import Path
work = Path(sys.argv[sys.argv.index("--work-dir") + 1])
tries = work.with_suffix(".tries")
tries.touch()
tries.write_text(tries.read_text() + "x")
what = sys.argv[1]
print("doing", what)
if what == "fail":
    sys.exit("mogabench: this cannot work")
if what == "die" and len(tries.read_text()) < 3:
    os.kill(os.getpid(), signal.SIGKILL)
if what == "wait":
    time.sleep(600)
"""
"""What stands for `mogabench`: a command that works, fails, or is killed twice before it works."""


def items(*names):
    return [Measurement((name, str(number), "--train")) for number, name in enumerate(names)]


@pytest.fixture
def place(tmp_path, monkeypatch):
    monkeypatch.setattr(local, "_CHILD", CHILD)
    return Place(tmp_path / "work", tmp_path / "results")


def tries(place, item):
    return len((place.work / item.name).with_suffix(".tries").read_text())


def test_a_command_goes_on_where_it_was_and_takes_each_gpu(place):
    run = ("run", "classification", "--backbone", "resnet18")
    more = {
        (*run, "--data", "d", "--train"): ["--work-dir", "{}", "--resume", "--nproc", "8"],
        (*run, "--data", "d", "--weights", "official"): ["--nproc", "8"],
        run: [],
        ("profile", "resnet18", "--gpu"): [],  # else another command's record would be no end
    }
    on_eight = replace(place, processes=8)
    for words, expected in more.items():
        item = Measurement(words)
        begin = [sys.executable, "-P", "-c", CHILD, *words, "--results", str(place.results)]
        own = [word.format(place.work / item.name) for word in expected]
        assert on_eight.command(item) == [*begin, *own, "--quiet"]
    assert "--nproc" not in place.command(Measurement((*run, "--data", "d", "--train")))


def test_the_gpus_of_a_job_are_the_processes_of_a_training(tmp_path, monkeypatch):
    seen = []
    monkeypatch.setattr("mogabench.sweeps.cluster.slurm_executor", lambda *given: given)
    monkeypatch.setattr(
        "mogabench.sweeps.cluster.run_by", lambda executor, *_, **__: seen.extend(executor) or []
    )
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / "plan.yaml").write_text("- {run: classification, backbone: resnet10t, size: 32}\n")
    words = ["sweep", tmp_path / "plan.yaml", "--results", tmp_path, "--work-dir", "~/w"]
    done = CliRunner().invoke(app, [*map(str, words), "--slurm", "partition=a,gpus=8"])
    assert done.exit_code == 0, done.output
    place, parameters = seen
    assert (place.work, place.processes) == (tmp_path / "w", 8)
    assert parameters == {"partition": "a", "gpus": "8"}
    refused = CliRunner().invoke(app, [*map(str, words), "--slurm", "partition=a", "--jobs", "2"])
    assert "give --slurm partition=a,jobs=2" in str(refused.exception)


def test_what_is_killed_is_begun_again_and_what_fails_is_not(place):
    asked = items("work", "fail", "die", "work")
    (failure,) = run_here(asked, place, jobs=2, retries=3, quiet=True)
    assert failure.item == asked[1]
    assert failure.reason == "mogabench: this cannot work (status 1)"
    assert [tries(place, item) for item in asked] == [1, 1, 3, 1]
    assert place.log(asked[0]).read_text() == "doing work\n"


def test_one_that_is_killed_too_often_fails(place):
    (asked,) = items("die")
    (failure,) = run_here([asked], place, jobs=1, retries=1, quiet=True)
    assert failure.reason == "killed by SIGKILL, 2 times" and tries(place, asked) == 2


def test_one_that_is_killed_in_a_job_of_slurm_fails_at_once(place):
    (asked,) = items("die")
    place.work.mkdir()
    with pytest.raises(RuntimeError):
        Job(asked, place)()
    assert tries(place, asked) == 1


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_children_end_with_the_sweep(how, tmp_path):
    """As a process of its own, however it is ended."""
    script = (
        "import sys; from pathlib import Path; from mogabench.sweeps import local\n"
        "from mogabench.sweeps.plan import Measurement\n"
        f"local._CHILD = local._CHILD.partition('from mogabench.cli')[0] + {CHILD!r}\n"
        "place = local.Place(Path(sys.argv[1]), Path(sys.argv[1]))\n"
        "asked = [Measurement(('wait', str(n), '--train')) for n in range(3)]\n"
        "local.run_here(asked, place, jobs=2, retries=3, quiet=True)\n"
    )
    sweep = subprocess.Popen([sys.executable, "-c", script, str(tmp_path)], stderr=subprocess.PIPE)
    children = wait_for(lambda: children_of(sweep.pid), 2)
    wait_for(lambda: list(tmp_path.glob("*.tries")), 2)
    sweep.send_signal(how)
    sweep.communicate(timeout=30)
    deadline = time.monotonic() + 30
    while any(Path(f"/proc/{pid}").exists() for pid in children):
        assert time.monotonic() < deadline
        time.sleep(0.05)
    begun = [file.read_text() for file in tmp_path.glob("*.tries")]
    assert begun == ["x", "x"]  # the third was not begun, and none again


def test_a_child_that_starts_while_the_sweep_ends_is_killed(place):
    (asked,) = items("wait")
    place.work.mkdir()
    children = Children()
    children.end()
    assert execute(asked, place, children) == -signal.SIGKILL


@pytest.mark.slow
def test_a_measurement_takes_from_the_current_folder_what_it_imports_and_no_more(
    tmp_path, monkeypatch
):
    (tmp_path / "my_net.py").write_text("print('mine')\n")
    stand_beside_another_project(tmp_path, monkeypatch)
    asked = Measurement(("explain", "3:MogaNet-S:FLOPs", "--import", "my_net"))
    place = Place(tmp_path, tmp_path / "results")
    status = execute(asked, place, Children())
    printed = place.log(asked).read_text()
    assert status == 0 and printed.startswith("mine\n"), printed


def stand_beside_another_project(folder, monkeypatch):
    (folder / "mogabench").mkdir()
    (folder / "mogabench" / "__init__.py").write_text("raise SystemExit('wrong')\n")
    monkeypatch.chdir(folder)


def children_of(pid):
    listed = Path(f"/proc/{pid}/task").glob("*/children")
    return [int(child) for file in listed for child in file.read_text().split()]


def wait_for(look, count):
    deadline = time.monotonic() + 60
    while len(found := look()) < count:
        assert time.monotonic() < deadline
        time.sleep(0.05)
    return found


@pytest.mark.slow
def test_submitits_local_executor_runs_the_same_commands(tmp_path, place):
    """Its processes import the project anew, so these are commands of `mogabench` itself."""
    asked = [
        Measurement(("explain", "3:MogaNet-S:FLOPs")),
        Measurement(("explain", "3:MogaNet-SS:FLOPs")),
    ]
    place = Place(tmp_path / "work", tmp_path / "results")
    executor = submitit.LocalExecutor(tmp_path / "submitit")
    (failure,) = run_by(
        executor, asked, place, retries=0, quiet=True, wait=lambda _: time.sleep(0.2)
    )
    assert failure.item == asked[1] and "unknown row of Table 3 'MogaNet-SS'" in failure.reason


BIN = {
    "sbatch": r"""
import os, re, subprocess, sys
from pathlib import Path
state = Path(os.environ["FAKE_SLURM"])
number = 100 + len(list(state.glob("*.script")))
text = Path(sys.argv[1]).read_text()
(state / f"{number}.script").write_text(text)
array = re.search(r"#SBATCH --array=0-(\d+)", text)
for task in range(int(array[1]) + 1) if array else [None]:
    name = f"{number}" if task is None else f"{number}_{task}"
    lost = state / "lost" / f"{task or 0}"
    if lost.exists():  # this once
        (state / f"{name}.state").write_text(lost.read_text())
        lost.unlink()
        continue
    (state / f"{name}.state").write_text("RUNNING")
    own = {"SLURM_JOB_ID": str(number), "SLURM_LOCALID": "0", "SLURM_PROCID": "0",
           "SLURM_NTASKS": "1", "SLURM_JOB_NUM_NODES": "1", "SLURM_NODEID": "0",
           "SLURM_JOB_NODELIST": "here"}
    if task is not None:
        own |= {"SLURM_ARRAY_JOB_ID": str(number), "SLURM_ARRAY_TASK_ID": str(task)}
    run = f"bash {state}/{number}.script; echo COMPLETED > {state}/{name}.state"
    subprocess.Popen(["bash", "-c", run], env=os.environ | own, start_new_session=True,
                     stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
print(f"Submitted batch job {number}")
""",
    "srun": r"""
import os, sys
words = sys.argv[1:]
while words[0].startswith("-"):
    words = words[1 if "=" in words[0] or words[0] == "--unbuffered" else 2:]
os.execvp(words[0], words)
""",
    "sacct": r"""
import os
from pathlib import Path
print("JobID|State|NodeList")
for file in sorted(Path(os.environ["FAKE_SLURM"]).glob("*.state")):
    print(f"{file.stem}|{file.read_text().strip()}|here")
""",
}


QUICK = ("--batch-size", "1", "--min-seconds", "0", "--max-seconds", "1", "--warmup-seconds", "0")


@pytest.mark.slow
def test_a_job_array_of_slurm_submits_again_what_was_lost(tmp_path, monkeypatch):
    """sbatch, srun and sacct are scripts that answer as SLURM does."""
    stand_beside_another_project(tmp_path, monkeypatch)
    (tmp_path / "bin").mkdir()
    for name, text in BIN.items():
        script = tmp_path / "bin" / name
        script.write_text(f"#!{sys.executable}\n{text}")
        script.chmod(0o755)
    state = tmp_path / "state"
    (state / "lost").mkdir(parents=True)
    (state / "lost" / "0").write_text("PREEMPTED")
    (state / "lost" / "2").write_text("NODE_FAIL")
    monkeypatch.setenv("FAKE_SLURM", str(state))
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}:{os.environ['PATH']}")
    place = Place(tmp_path / "work", tmp_path / "results")
    asked = [
        Measurement(("profile", "resnet10t", *QUICK)),
        Measurement(("profile", "resnet_10t")),
        Measurement(("profile", "test_convnext", *QUICK)),
    ]
    executor = slurm_executor(place, {"partition": "gpu", "time": "1h", "cpus": "2", "gpus": "8"})
    failures = run_by(executor, asked, place, retries=1, quiet=True, wait=lambda _: time.sleep(0.5))
    assert [failure.item for failure in failures] == [asked[1]]
    assert "unknown backbone 'resnet_10t'" in failures[0].reason
    scripts = sorted(state.glob("*.script"))
    first = scripts[0].read_text()
    assert "--partition=gpu" in first and "--time=60" in first and "--array=0-2" in first
    assert "--cpus-per-task=2" in first and "--gpus-per-node=8" in first
    assert len(scripts) == 3  # the array, and the two that were lost
    assert sorted(path.name for path in (tmp_path / "results/records").glob("*.jsonl")) == [
        "throughput.jsonl"
    ]


@pytest.mark.slow
def test_the_whole_command_measures_what_is_missing_once(tmp_path):
    plan = tmp_path / "plan.yaml"
    plan.write_text(
        "- {run: classification, backbone: [test_resnet, test_convnext], data: sample, "
        "train: true, set: {schedule.epochs: 1, schedule.warmup_epochs: 0}}\n"
    )
    command = [sys.executable, "-m", "mogabench", "sweep", plan, "--quiet"]
    command += ["--results", tmp_path / "results", "--work-dir", tmp_path / "work"]
    for line in ("2 to measure, 0 measured before", "0 to measure, 2 measured before"):
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        assert done.stdout.startswith(line)
    trained = [record.subject.backbone for record in Store(tmp_path / "results").all(Kind.QUALITY)]
    assert sorted(trained) == ["test_convnext", "test_resnet"]
