"""How a process learns that it is one of several, and which."""

import os

import pytest
from mmengine.logging.logger import _get_device_id

from mogabench.engine.environment import _own_gpu, enter
from mogabench.engine.launch import adopt_environment, first_host, must_start, rank
from mogabench.errors import UserError

TORCHRUN = ("RANK", "WORLD_SIZE", "LOCAL_RANK", "LOCAL_WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT")
BATCH = {
    "SLURM_PROCID": "0",
    "SLURM_NTASKS": "16",
    "SLURM_LOCALID": "0",
    "SLURM_JOB_NODELIST": "gpu[05-08],gpu11",
    "SLURM_JOB_ID": "1234567",
}
SLURM = BATCH | {
    "SLURM_PROCID": "5",
    "SLURM_LOCALID": "1",
    "SLURM_STEP_NUM_TASKS": "8",
    "SLURM_STEP_NODELIST": "gpu[07-08],gpu11",
}
"""As Slurm's env.c sets them in a batch script, and in a step on some nodes of its job."""


@pytest.fixture
def environment(monkeypatch):
    """An environment with these variables and none of a launcher's; all is put back afterwards."""

    def become(**variables):
        alone = {name: value for name, value in os.environ.items() if name[:6] != "SLURM_"}
        alone = {name: value for name, value in alone.items() if name not in TORCHRUN}
        monkeypatch.setattr(os, "environ", alone | variables)

    return become


@pytest.mark.parametrize(
    ("hosts", "first"),
    [
        # As 'scontrol show hostnames' expands them.
        ("node1", "node1"),
        ("node1,node2", "node1"),
        ("node[03-05,8],login", "node03"),
        ("gpu[12]", "gpu12"),
        ("a100-[001,003]-ib,b", "a100-001-ib"),
        ("rack[1-2]node[04-05]", "rack1node04"),
    ],
)
def test_the_first_host_of_slurm(hosts, first):
    assert first_host(hosts) == first


def test_a_process_of_srun_is_read_as_one_of_torchrun(environment):
    environment(**SLURM)
    adopt_environment()
    found = {name: os.environ.get(name) for name in TORCHRUN[:3]}
    assert found == {"RANK": "5", "WORLD_SIZE": "8", "LOCAL_RANK": "1"}
    assert os.environ["MASTER_ADDR"] == "gpu07"
    assert 1024 < int(os.environ["MASTER_PORT"]) < 65536
    assert rank() == 5


def test_torchrun_comes_before_slurm(environment):
    environment(**SLURM, RANK="0", WORLD_SIZE="2", LOCAL_RANK="0", MASTER_PORT="99")
    adopt_environment()
    assert (rank(), os.environ["WORLD_SIZE"], os.environ["MASTER_PORT"]) == (0, "2", "99")


@pytest.mark.parametrize("variables", [BATCH, SLURM | {"SLURM_STEP_NUM_TASKS": "1"}])
def test_a_batch_script_and_a_step_of_one_task_are_alone(environment, variables):
    environment(**variables)
    adopt_environment()
    assert "RANK" not in os.environ


def test_a_process_that_sees_its_own_gpu_alone_takes_it(environment, monkeypatch):
    monkeypatch.setattr("torch.cuda.device_count", lambda: 1)
    monkeypatch.setattr("torch.cuda.is_available", lambda: True)
    environment(RANK="3", WORLD_SIZE="4", LOCAL_RANK="3", CUDA_VISIBLE_DEVICES="6")
    assert _own_gpu() == 0
    assert os.environ["LOCAL_RANK"] == "0"  # the device_ids of mmengine's Runner
    assert _get_device_id() == 6


def test_processes_that_are_there_are_not_started_again(environment):
    environment()
    assert must_start(2, "cpu")
    assert not must_start(1, "cpu")
    environment(RANK="1", WORLD_SIZE="4", LOCAL_WORLD_SIZE="2")
    assert not must_start(2, "cpu")
    with pytest.raises(UserError, match="--nproc 4, but torchrun or srun has started 2 processes"):
        must_start(4, "cpu")


def test_bad_numbers_of_processes(environment, monkeypatch):
    environment()
    monkeypatch.setattr("torch.cuda.device_count", lambda: 2)
    assert must_start(2, "cuda")
    with pytest.raises(UserError, match=r"--nproc 3, but PyTorch sees 2 GPU\(s\)"):
        must_start(3, "cuda")
    with pytest.raises(UserError, match="leave out --device cuda:1"):
        must_start(2, "cuda:1")
    with pytest.raises(UserError, match="--nproc 0 is not a positive number"):
        must_start(0, "cpu")


def test_one_of_several_processes_cannot_choose_its_gpu(environment):
    environment(RANK="0", WORLD_SIZE="2", LOCAL_RANK="0")
    with pytest.raises(UserError, match="takes its own GPU: leave out --device cuda:1"):
        enter("cuda:1")
