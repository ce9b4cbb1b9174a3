"""A study on a cluster of three nodes of this machine: what is lost is trained again, once."""

import os
import re
import signal
import sqlite3
import subprocess
import sys
import time
from contextlib import contextmanager
from dataclasses import replace
from subprocess import PIPE

import pytest
import torch
from commands import typed

from plie.errors import InputError
from plie.study import Job, Points, Study, ray_cluster, run_job
from plie.study.jobs import Jobs
from plie.study.ray_cluster import ATTEMPTS, ClusterError, RayCluster

pytest.importorskip("ray")

NODE = {"num_cpus": 1, "object_store_memory": 80 << 20, "include_dashboard": False}
# seconds until a node that says nothing is given up, rather than minutes
SOON = {"health_check_initial_delay_ms": 1000, "health_check_period_ms": 500}
SOON |= {"health_check_failure_threshold": 4}
# Its own 15 would let whatever else runs on the machine go first.
SOON |= {"worker_niceness": 0}
# everything of a network that does not tell the time
RESULT = (
    "key, lr, seed, train_loss, train_score, validation_loss, validation_score, test_loss, "
    "test_score, diverged, epochs, best_epoch, settings, probes, curves, confusion, parameters"
)


@pytest.fixture(scope="module")
def cluster():
    import ray
    from ray.cluster_utils import Cluster

    made = Cluster(initialize_head=True, head_node_args={**NODE, "_system_config": SOON})
    made.add_node(**NODE)
    made.add_node(**NODE)
    # once: workers stay for as long as the connection, and each takes seconds to start
    ray.init(made.address, log_to_driver=False, logging_level="ERROR")
    yield made
    ray.shutdown()
    made.shutdown()


def stored(folder):
    db = sqlite3.connect(folder / "study.sqlite")
    try:
        return db.execute(f"SELECT {RESULT} FROM cells ORDER BY key").fetchall()
    finally:
        db.close()


def grid(folder, seeds=12, **settings):
    return Study("xor", ["relu", "tanh"], epochs=10, seeds=seeds, folder=folder, **settings)


@pytest.fixture(scope="module")
def alone(tmp_path_factory):
    """The same grid trained by this process."""
    folder = tmp_path_factory.mktemp("alone")
    grid(folder).run()
    return stored(folder)


@pytest.fixture
def small_jobs(monkeypatch):
    """So that there are enough to lose some."""
    monkeypatch.setattr(Jobs, "_size", lambda jobs, candidate: 2)


def disturbed(folder, disturb):
    """A job that does this the first time; it travels whole, as workers have no tests."""
    mark = str(folder / "disturbed")

    def train(job, data):
        try:
            os.close(os.open(mark, os.O_CREAT | os.O_EXCL))
        except FileExistsError:
            pass
        else:
            disturb()
        return run_job(job, data)

    return train


@pytest.mark.parametrize(
    "settings",
    [
        {"hidden": (16,), "batch_size": 32},
        {"hidden": (30, 30), "norm": "layer", "seeds": 3, "lr_grid": [0.01, 0.1]},
        {"hidden": (30, 30), "dropout": 0.2, "seeds": 2, "optimizer": "adam"},
    ],
    ids=["native", "stacked", "one by one"],
)
def test_results_are_the_local_ones_bit_for_bit(cluster, tmp_path, settings):
    grid(tmp_path / "here", **settings).run()
    found = grid(tmp_path / "there", **settings).run(executor="ray")
    assert found.reused == 0
    assert stored(tmp_path / "there") == stored(tmp_path / "here")


@pytest.mark.parametrize("settings", [{"norm": "layer"}, {"dropout": 0.2}], ids=str)
def test_results_do_not_depend_on_the_number_of_threads(settings):
    plan = Study("digits", "relu", epochs=1, seeds=1, lr=0.01, baselines=False, **settings).plan()
    (candidate, cells), data = plan.cells()[0], Points.of(plan.split)

    def trained(threads):
        torch.set_num_threads(threads)
        try:
            (result,) = run_job(Job(candidate, tuple(cells)), data)
        finally:
            torch.set_num_threads(1)
        return replace(result, seconds=0)

    assert trained(2) == trained(1)


def test_a_lost_node_and_one_that_joins(cluster, tmp_path, alone, small_jobs):
    lost = cluster.add_node(**NODE)

    def slow(job, data):
        time.sleep(0.3)
        return run_job(job, data)

    def lose(label, done, total):
        if done >= 8 and lost in cluster.worker_nodes:
            cluster.remove_node(lost, allow_graceful=False)

    grid(tmp_path).run(executor=RayCluster(train=slow), progress=lose)
    assert lost not in cluster.worker_nodes
    assert stored(tmp_path) == alone


def test_a_killed_worker(cluster, tmp_path, alone, small_jobs):
    train = disturbed(tmp_path, lambda: os.kill(os.getpid(), signal.SIGKILL))
    grid(tmp_path).run(executor=RayCluster(train=train))
    assert (tmp_path / "disturbed").exists()
    assert stored(tmp_path) == alone


def test_a_straggler_does_not_hold_the_end(cluster, tmp_path, alone, small_jobs):
    train = disturbed(tmp_path, lambda: time.sleep(100))
    start = time.monotonic()
    grid(tmp_path).run(executor=RayCluster(train=train))
    assert time.monotonic() - start < 50
    assert stored(tmp_path) == alone


@pytest.mark.parametrize(
    ("error", "sentence"),
    [
        (MemoryError("too large"), rf"failed {ATTEMPTS} times .* MemoryError: too large; what was"),
        (InputError("a clear sentence"), "^a clear sentence$"),
    ],
    ids=["any", "ours"],
)
def test_a_job_that_always_fails(cluster, tmp_path, error, sentence):
    def fail(job, data):
        raise error

    with pytest.raises((ClusterError, InputError), match=sentence):
        grid(tmp_path).run(executor=RayCluster(train=fail))
    assert stored(tmp_path) == []


def test_a_job_that_always_kills_its_worker(cluster, tmp_path):
    def die(job, data):
        os.kill(os.getpid(), signal.SIGKILL)

    alone = Study("xor", seeds=1, baselines=False, folder=tmp_path)
    with pytest.raises(ClusterError, match=f"a network of MLP, relu failed {ATTEMPTS} times"):
        alone.run(executor=RayCluster(train=die))


def test_results_of_another_format_are_refused(cluster, tmp_path, monkeypatch):
    monkeypatch.setattr(ray_cluster, "FORMAT", -1)
    with pytest.raises(InputError, match=r"has plie .*, format \d+; this process has .*format -1;"):
        grid(tmp_path).run(executor="ray")
    assert stored(tmp_path) == []


def test_a_node_with_another_torch_is_refused(cluster, tmp_path, monkeypatch, small_jobs):
    def slow(job, data):  # so that the other nodes leave some
        time.sleep(1)
        return run_job(job, data)

    monkeypatch.setattr(ray_cluster, "SOONEST", 1000)  # its job is not given to another node
    (tmp_path / "torch").mkdir()
    (tmp_path / "torch" / "__init__.py").write_text("__version__ = '0.0.1'")
    node = cluster.add_node(**NODE, env_vars={"PYTHONPATH": str(tmp_path)})
    try:
        with pytest.raises(InputError, match=r"has plie \S+, torch 0\.0\.1; this process has plie"):
            grid(tmp_path / "out").run(executor=RayCluster(train=slow))
    finally:
        cluster.remove_node(node)


@contextmanager
def driver(folder, n, *words):
    """A process that runs a study, once it has stored n networks."""
    process = subprocess.Popen([sys.executable, *words], stdout=PIPE, stderr=PIPE, text=True)
    try:
        while networks(folder) < n:
            assert process.poll() is None, process.communicate()
            time.sleep(0.05)
        yield process
    finally:
        process.kill()
        process.communicate()


def networks(folder):
    try:
        return len(stored(folder))
    except sqlite3.OperationalError:  # it is being made
        return 0


# Slow enough to be killed in the middle.
DRIVER = """
import sys, time
from plie.study import Study, jobs, run_job
from plie.study.ray_cluster import RayCluster

def slow(job, data):
    time.sleep(0.3)
    return run_job(job, data)

jobs.Jobs._size = lambda jobs, candidate: 2
grid = Study("xor", ["relu", "tanh"], epochs=10, seeds=12, folder=sys.argv[1])
grid.run(executor=RayCluster(sys.argv[2], slow))
"""


def test_a_killed_driver_is_resumed(cluster, tmp_path, alone):
    with driver(tmp_path, 8, "-c", DRIVER, tmp_path, cluster.address) as process:
        process.kill()
        process.wait()
    before = len(stored(tmp_path))
    assert 8 <= before < len(alone)
    assert grid(tmp_path).run(executor="ray").reused == before
    assert stored(tmp_path) == alone


def test_interruption_says_how_to_go_on(cluster, tmp_path):
    words = ["study", "xor", "--epochs", "3000", "--seeds", "300", "-o", str(tmp_path)]
    words += ["--executor", "ray", "--ray-address", cluster.address]
    with driver(tmp_path, 1, "-m", "plie", *words) as process:
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=60)
    assert (process.returncode, out) == (130, "")
    assert re.fullmatch(r"interrupted after \d+ of 900 networks, which are kept; .*\n", err)


def test_an_interruption_anywhere_ends_what_is_in_flight(cluster, tmp_path, monkeypatch):
    ended = []
    monkeypatch.setattr(ray_cluster._Fleet, "cancel", lambda fleet, copies: ended.extend(copies))

    def interrupt(label, done, total):
        if done:
            raise KeyboardInterrupt

    # whoever keeps the error keeps all frames
    with pytest.raises(KeyboardInterrupt) as kept:
        grid(tmp_path, seeds=40).run(executor="ray", progress=interrupt)
    assert ended, kept


def test_the_command_prints_what_it_does_without_a_cluster(cluster, capsys, tmp_path):
    words = ("study", "xor", "--epochs", "2", "-a", "relu,tanh", "--executor")
    code, out, err = typed(capsys, *words, "ray", "-o", str(tmp_path / "there"))
    assert (code, err) == (0, "")
    _, here, _ = typed(capsys, *words, "local", "-o", str(tmp_path / "here"))
    times = r" *[\d.]+ [mµ]?s +"
    assert re.sub(times, "", out.replace("there", "here")) == re.sub(times, "", here)


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["--executor", "rya"], "unknown executor 'rya'; did you mean 'ray'?"),
        (["--ray-address", "127.0.0.1:1"], "cannot use the Ray cluster at '127.0.0.1:1': Connec"),
        (["--ray-address", "ray://127.0.0.1:1"], "cluster at 'ray://127.0.0.1:1': Connection"),
        (["--executor", "local", "--ray-address", "auto"], "--ray-address is for --executor ray"),
    ],
)
def test_mistakes(capsys, tmp_path, words, sentence, monkeypatch):
    monkeypatch.setattr("ray.is_initialized", lambda: False)
    code, _, err = typed(capsys, "study", "xor", *words, "-o", str(tmp_path))
    assert code == 2
    assert sentence in err


def test_without_ray_one_sentence(monkeypatch, tmp_path):
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(InputError, match=r"pip install 'plie\[ray\]'"):
        grid(tmp_path).run(executor="ray")
