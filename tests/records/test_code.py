"""Digests of code, against hashlib on the files themselves."""

import hashlib
import subprocess
import sys
from pathlib import Path

import pytest
import timm

import mogabench
from mogabench import catalogue
from mogabench.measure.code import counter_code, network_code
from mogabench.records import Kind, Provenance, Record, is_stale
from mogabench.records.code import digests
from mogabench.subject import Subject
from mogabench.tasks import get_task
from tests.counted import counted


def made_by(code):
    where = Provenance(command="test", device="meta", code=code)
    subject = Subject(task="t", method="m", backbone="b", input_size=(1, 1))
    return Record(subject=subject, kind=Kind.COMPLEXITY, values=counted(), provenance=where)


def test_a_record_of_other_code_is_stale():
    true = counter_code()
    assert not is_stale(made_by(true))
    assert is_stale(made_by(true | {"mogabench.measure.operators": "0" * 12}))
    assert is_stale(made_by(None)) and is_stale(made_by({}))  # it does not say
    assert not is_stale(made_by({"someones.package": "0" * 12}))  # and this one is not here
    assert is_stale(made_by(true | {"mogabench.renamed": "0" * 12}))


def test_a_digest_is_that_of_the_file_and_finding_it_imports_nothing():
    file = Path(mogabench.__file__).parent / "models" / "moganet.py"
    digest = hashlib.sha256(file.read_bytes()).hexdigest()[:12]
    name = "mogabench.models.moganet"
    assert digests([name, "torch.nn", "mogabench.no_such_module"]) == {name: digest}
    script = (
        "import sys; from mogabench.records.code import digests; "
        f"print(digests([{name!r}])[{name!r}], 'torch' in sys.modules)"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    assert done.stdout.split() == [digest, "False"]


def test_the_code_of_a_network_is_all_that_it_is_made_of():
    def code(task, method, backbone, size):
        subject = Subject(task=task, method=method, backbone=backbone, input_size=size)
        return set(network_code(subject, get_task(task).build(subject)))

    assert code("classification", "classifier", "resnet18", (64, 64)) == set()  # timm's, entirely
    # The layers are timm's, the sizes are not.
    swin = code("classification", "classifier", "swin_1g", (224, 224))
    assert swin == {"mogabench.models.swin", "mogabench.layers.registration"}
    moganet = code("classification", "classifier", "moganet_xtiny", (64, 64))
    # The base class, the function that makes depth-wise layers, and the initial weights.
    parts = ("staged", "convolutions", "moga", "initialisation")
    assert {"mogabench.models.moganet", *(f"mogabench.layers.{part}" for part in parts)} <= moganet
    assert "mogabench.ops.kernels" in moganet  # which only a GPU imports
    pose = code("pose", "simple_baseline", "moganet_xtiny", (64, 64))
    assert {"mogabench.layers.moga", "mogabench.tasks.pose.network"} <= pose


def test_code_of_ones_own_is_all_that_lies_beside_what_was_imported(tmp_path):
    """Also a task and a constant, of which no module of the network tells."""
    task = Path(__file__).parents[1] / "tasks" / "toy.py"
    written = {"own_task": f"{task.read_text()}from own_sizes import WIDTH", "own_sizes": "WIDTH=4"}
    for name, text in (written | {"not_used": ""}).items():
        (tmp_path / f"{name}.py").write_text(text)
    catalogue.import_packages([str(tmp_path / "own_task.py")])
    subject = Subject(task="toy", method="regression", backbone="test_resnet", input_size=(32, 32))
    code = network_code(subject, get_task("toy").build(subject))
    for name in written:
        del sys.modules[name]
    digests = {name: hashlib.sha256(text.encode()).hexdigest() for name, text in written.items()}
    assert code == {name: digest[:12] for name, digest in digests.items()}


NETWORK = """
import timm
from plain_sizes import NAME
@timm.models.register_model
def plain_net(pretrained=False, **options):
    return timm.create_model(NAME, **options)
"""
PATH = """
import sys
sys.path.insert(0, ".")
"""
COUNT = """
from mogabench.measure.quick import count
from mogabench.records import Store
from mogabench.subject import Subject
where = {"task": "classification", "method": "classifier", "input_size": (32, 32)}
[record] = count([Subject(backbone="plain_net", **where)], Store("results"), [])
print(int(record.values["parameters"].value))
"""
TABLE = """
import mogabench
mogabench.table("2", add=[mogabench.Added("plain_net")], results="results")
"""


@pytest.mark.slow
def test_a_network_that_a_script_imports_or_defines_has_no_figures_of_earlier_code(tmp_path):
    def counted(script):
        command = [sys.executable, "-c", script]
        return subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)

    (tmp_path / "plain.py").write_text(NETWORK)
    for name in ("test_resnet", "test_vit", "test_resnet"):
        (tmp_path / "plain_sizes.py").write_text(f"NAME = {name!r}")
        parameters = sum(weight.numel() for weight in timm.create_model(name).parameters())
        assert int(counted(f"{PATH}import plain{COUNT}").stdout) == parameters
    says = "plain_net is defined in a notebook or in the script that runs: put it"
    assert says in counted(PATH + NETWORK + COUNT.replace("results", "others")).stderr
    assert says in counted(PATH + NETWORK + TABLE).stderr
