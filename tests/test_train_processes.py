"""Two processes train what one trains: through Accelerate and gloo, on the CPU."""

import json
import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest
import torch
import two_processes
from torch import nn

from plie.errors import InputError
from plie.training.processes import Processes, processes_of

WORKER = Path(two_processes.__file__)


@pytest.fixture(scope="module")
def found(tmp_path_factory):
    """What each of two processes saw."""
    folder = tmp_path_factory.mktemp("two")
    with socket.socket() as free:
        free.bind(("localhost", 0))
        port = free.getsockname()[1]
    launcher = ["-m", "torch.distributed.run", "--nproc_per_node=2", f"--master_port={port}"]
    run = subprocess.run(
        [sys.executable, *launcher, WORKER, folder],
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert run.returncode == 0, run.stderr[-4000:]
    return [json.loads((folder / f"{rank}.json").read_text("utf-8")) for rank in (0, 1)]


def close(mine, expected):
    for name, values in expected.items():
        assert mine[name] == pytest.approx(list(values), rel=1e-5, abs=1e-6), name


@pytest.mark.parametrize("name", [n for n in two_processes.RUNS if n != "statistics"])
def test_two_processes_train_as_one(name, found):
    """The same curves and weights, whatever the random starts: each takes its rows of them."""
    expected = two_processes.trained(name)
    for mine in found:
        close(mine[name], expected)


def test_statistics_are_of_one_process_and_left_alike(found):
    """Each normalises its own rows; the first one's running statistics are everybody's."""
    first, second = (mine["statistics"] for mine in found)
    assert first == second
    alone = two_processes.trained("statistics")
    assert first["loss"] != pytest.approx(alone["loss"], rel=1e-5)
    assert first["loss"] == pytest.approx(alone["loss"], rel=0.1)


def test_resumed_together_equals_uninterrupted(found):
    for mine in found:
        assert mine["resumed"] == mine["fgsm-rs"]


class Sharded:
    num_processes, process_index = 2, 0
    gradient_accumulation_steps = 1

    class distributed_type:  # noqa: N801
        name = "FSDP"


def test_ways_that_split_the_network_are_refused():
    with pytest.raises(InputError, match="FSDP of Accelerate does not"):
        Processes(Sharded())


def test_processes_that_do_not_see_each_other_are_refused(monkeypatch):
    """Each would train alone, and nobody would know."""
    pytest.importorskip("accelerate")
    monkeypatch.setenv("WORLD_SIZE", "2")
    monkeypatch.setattr("accelerate.Accelerator", lambda cpu: Processes())
    monkeypatch.setattr(Processes, "num_processes", 1, raising=False)
    with pytest.raises(InputError, match="2 processes were started, but Accelerate sees 1"):
        processes_of(None)


@pytest.mark.parametrize("given", ["x", "", "-1", "1.5"])
def test_a_number_of_processes_that_is_none_is_refused(given, monkeypatch):
    monkeypatch.setenv("WORLD_SIZE", given)
    with pytest.raises(InputError, match=f"WORLD_SIZE, .* not '{given}'"):
        processes_of(None)


def test_one_process_needs_no_accelerate():
    alone = Processes()
    model = nn.Linear(2, 2)
    assert alone.total([1.0]) == [1.0]
    x = torch.ones(1, 2)
    assert torch.equal(alone.wrapped(model)(x, x)[1], model(x))
