"""The store: killed at any moment, shared, full, damaged, it loses and repeats nothing."""

import errno
import json
import os
import pickle
import random
import resource
import signal
import sqlite3
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from studies import small, square

import plie
from plie.data import Dataset
from plie.errors import InputError
from plie.study import CellResult, Study, jobs, load, records, run_job
from plie.study.database import NAME, VERSION, Store
from plie.study.jobs import Jobs, local
from plie.study.records import Measure

HERE = Path(__file__).parent

# A study of many short jobs in another process; it is ready once it prints a line.
RUN = """
import sys, torch
sys.path.insert(0, {here!r})
torch.set_num_threads(1)
from studies import square
from plie.study import Study, jobs
jobs.SECONDS = 0.02
jobs.FIRST = 3
print("ready", flush=True)
study = Study(square(60), ["relu", "tanh"], hidden=4, epochs=30, lr_grid=(0.01, 0.1), seeds=60,
              folder={folder!r})
found = study.run()
print(found.reused, found.done, flush=True)
"""
CELLS = 4 * 2 * 60


def start(folder, **options):
    code = RUN.format(here=str(HERE), folder=str(folder))
    pipe = subprocess.PIPE
    process = subprocess.Popen([sys.executable, "-c", code], stdout=pipe, stderr=pipe, **options)
    assert process.stdout.readline() == b"ready\n"
    return process


def finish(process):
    out, err = process.communicate(timeout=120)
    assert process.returncode == 0, err.decode()
    return tuple(map(int, out.split()))


def rows(folder):
    """All that is stored but times."""
    with sqlite3.connect(Path(folder) / NAME) as db:
        db.row_factory = sqlite3.Row
        found = [dict(row) for row in db.execute("SELECT * FROM cells ORDER BY key")]
        assert db.execute("PRAGMA integrity_check").fetchone()[0] == "ok"
    for row in found:
        del row["seconds"], row["created"]
    return found


def count(folder):
    try:
        with sqlite3.connect(f"file:{folder / NAME}?mode=ro", uri=True) as db:
            return db.execute("SELECT count(*) FROM cells").fetchone()[0]
    except sqlite3.OperationalError:  # it is not there yet
        return 0


def wait_for(folder, n):
    end = time.monotonic() + 60
    while count(folder) < n:
        assert time.monotonic() < end, "no network is trained"
        time.sleep(0.002)


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """What the study of `RUN` stores when nothing disturbs it."""
    folder = tmp_path_factory.mktemp("whole")
    assert finish(start(folder)) == (0, CELLS)
    return rows(folder)


def test_killed_at_random_moments_it_loses_and_repeats_nothing(tmp_path, whole):
    draw = random.Random(int(os.environ["PLIE_SEED"]))
    seen = 0
    for _ in range(4):
        process = start(tmp_path)
        wait_for(tmp_path, min(seen + draw.randrange(1, 100), CELLS))
        time.sleep(draw.random() * 0.02)
        process.kill()
        process.communicate()
        now = count(tmp_path)
        assert now >= seen
        seen = now
    reused, done = finish(start(tmp_path))
    assert (reused, done) == (seen, CELLS)
    assert rows(tmp_path) == whole
    assert finish(start(tmp_path)) == (CELLS, CELLS)


def test_killed_before_the_first_network_it_starts_anew(tmp_path, whole):
    draw = random.Random(int(os.environ["PLIE_SEED"]))
    for _ in range(3):
        process = start(tmp_path)
        time.sleep(draw.random() * 0.1)
        process.kill()
        process.communicate()
    assert finish(start(tmp_path))[1] == CELLS
    assert rows(tmp_path) == whole


def test_two_processes_share_the_work(tmp_path, whole):
    one, other = start(tmp_path), start(tmp_path)
    assert finish(one)[1] == finish(other)[1] == CELLS
    assert rows(tmp_path) == whole
    with sqlite3.connect(tmp_path / NAME) as db:
        assert db.execute("SELECT count(*) FROM claims").fetchone() == (0,)
        assert db.execute("SELECT count(*) FROM workers").fetchone() == (0,)


def test_the_survivor_of_two_takes_over(tmp_path, whole):
    one, other = start(tmp_path), start(tmp_path)
    wait_for(tmp_path, 50)
    one.kill()
    one.communicate()
    assert finish(other)[1] == CELLS
    assert rows(tmp_path) == whole


def test_ctrl_c_keeps_what_is_finished(tmp_path):
    command = ["study", "xor", "--seeds", "20000", "-a", "silu", "-o", str(tmp_path)]
    process = subprocess.Popen(
        [sys.executable, "-m", "plie", *command],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    wait_for(tmp_path, 1)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=60)
    assert (process.returncode, out) == (130, "")
    assert err.startswith("interrupted after ")
    assert err.endswith("of 60000 networks, which are kept; the same command goes on from there\n")
    assert int(err.split()[2]) <= count(tmp_path)
    with sqlite3.connect(tmp_path / NAME) as db:
        assert db.execute("SELECT count(*) FROM claims").fetchone() == (0,)


# --- claims -------------------------------------------------------------------------------------


def cells(folder, n=4):
    plan_ = small(folder, seeds=n).plan()
    candidate, all_of_it = plan_.cells()[-1]
    return plan_, candidate, all_of_it


def test_a_claim_holds_while_its_process_lives_and_stores(tmp_path, monkeypatch):
    plan_, _, wanted = cells(tmp_path)
    with plan_.open() as mine, Store(tmp_path / NAME) as other:
        assert mine.claim(wanted[:5]) == (wanted[:5], set())
        monkeypatch.setattr("plie.study.database._runs", lambda pid: True)
        monkeypatch.setattr("plie.study.database.os.getpid", lambda: 0)  # mine is not ours
        other.worker = "elsewhere 1 x"
        assert other.claim(wanted) == (wanted[5:], set())
        assert other.claim(wanted[:5])[0] == []
        mine.db.execute("UPDATE workers SET seen = seen - 601")
        assert other.claim(wanted[:5])[0] == wanted[:5]


def test_a_claim_ends_with_its_process(tmp_path):
    plan_, _, wanted = cells(tmp_path)
    gone = subprocess.Popen([sys.executable, "-c", ""])
    gone.wait()
    with plan_.open() as mine, Store(tmp_path / NAME) as dead:
        host, _, token = dead.worker.rsplit(" ", 2)
        dead.worker = f"{host} {gone.pid} {token}"
        dead.claim(wanted)
        assert mine.claim(wanted)[0] == wanted


def test_what_is_trained_twice_is_stored_once(tmp_path):
    plan_, candidate, wanted = cells(tmp_path)
    made = result(wanted[0])
    with plan_.open() as store:
        store.put(candidate, [made])
        store.put(candidate, [replace(made, train=Measure(9.0, 9.0)), result(wanted[1])])
        assert store.claim(wanted[:3]) == (wanted[2:3], {wanted[0].key, wanted[1].key})
        assert [row[3] for row in store.measures(candidate)] == [0.5, 0.5]


def result(cell):
    """What training would give, in no time."""
    half = Measure(0.5, 0.5)
    blob, curves = bytes(4 * 18), bytes(4 * 4 * 2)
    return CellResult(cell, half, half, half, 0.1, False, 2, 1, curves, "[]", bytes(16), blob)


def quick(given, data):
    """An executor that trains nothing."""
    while not given.finished:
        job = given.take()
        given.took(job, 1e-5 * len(job.cells))
        yield job, [result(cell) for cell in job.cells]


def test_ten_thousand_networks_are_stored_and_found_again(tmp_path):
    study = small(
        tmp_path, ["relu", "tanh", "silu"], seeds=1000, baselines=False, lr_grid=(1, 2, 3)
    )
    start = time.monotonic()
    assert study.run(executor=quick).done == 9000
    first = time.monotonic() - start
    study = replace(study, seeds=1200)
    found = study.run(executor=quick)
    assert (found.reused, found.done) == (9000, 10800)
    assert len(found.table()) == 10800
    assert time.monotonic() - start < 20 + 3 * first


def test_jobs_are_cut_to_what_they_cost(tmp_path):
    plan_ = small(tmp_path, seeds=1000, baselines=False).plan()
    with plan_.open() as store:
        waiting = Jobs(store, plan_.cells())
        sizes = []
        for seconds in (1e-3, 1e-3, 6.0, 1.5, 100.0):
            job = waiting.take()
            sizes.append(len(job.cells))
            waiting.took(job, seconds)
        sizes.append(len(waiting.take().cells))
    assert sizes == [8, 64, 512, 128, 128, 1]


def test_other_processes_networks_are_waited_for(tmp_path, monkeypatch):
    plan_, candidate, wanted = cells(tmp_path)
    monkeypatch.setattr("plie.study.database._runs", lambda pid: True)
    with plan_.open() as store, Store(tmp_path / NAME) as other:
        other.worker = f"{store.worker.rsplit(' ', 2)[0]} 1 x"
        other.claim(wanted[:2])
        waiting = Jobs(store, [(candidate, wanted)])
        taken = waiting.take()
        assert list(taken.cells) == wanted[2:]
        waiting.store_results(taken, [result(cell) for cell in taken.cells])
        assert waiting.take() is None
        assert not waiting.finished
        other.put(candidate, [result(cell) for cell in wanted[:2]])
        assert waiting.take() is None
        assert waiting.finished
        assert waiting.done == waiting.total == len(wanted)


# --- never a mix --------------------------------------------------------------------------------


def test_same_settings_use_what_is_there(tmp_path):
    first = small(tmp_path, ["relu"]).run()
    second = small(tmp_path, ["relu", "tanh"]).run()
    assert (first.reused, first.done) == (0, 12)
    assert (second.reused, second.done) == (12, 16)
    for one, other in zip(first.groups, second.groups, strict=False):
        assert one.test.score.tolist() == other.test.score.tolist()
    assert small(tmp_path, ["tanh", "relu"], seeds=[1]).run().reused == 8
    assert [g.seeds.tolist() for g in load(tmp_path).groups] == [[1]] * 4


@pytest.mark.parametrize(
    "change",
    [
        {"epochs": 3},
        {"lr_grid": (0.2,)},
        {"seeds": [7, 8]},
        {"hidden": (7,)},
        {"scale": False},
        {"split_seed": 1},
        {"validation": 0.3},
        {"optimizer": "adamw"},
        {"weight_decay": 0.1},
        {"batch_size": 7},
        {"schedule": "cosine"},
        {"warmup": 1},
        {"patience": 5},
        {"init": "gain"},
        {"norm": "layer"},
        {"dropout": 0.5},
    ],
    ids=str,
)
def test_other_settings_are_never_mixed(tmp_path, change):
    data = square(60)
    skewed = Dataset(data.features * 3, data.targets, ("a", "b"), ("0", "1"), "skewed")
    small(tmp_path, data=skewed).run()
    before = {row["key"]: row for row in rows(tmp_path)}
    again = small(tmp_path, data=skewed, **change).run()
    # logistic regression has no hidden layer, and nothing between them
    same = 4 if set(change) & {"hidden", "norm", "dropout"} else 0
    assert again.reused == same
    after = {row["key"]: row for row in rows(tmp_path)}
    assert all(after[key] == row for key, row in before.items())
    assert len(after) == len(before) + again.total - same


def test_edited_data_is_not_taken_for_the_old(tmp_path):
    file = tmp_path / "points.csv"
    text = "a,b,c\n" + "".join(f"{i},{i * i % 7},{'xy'[i % 2]}\n" for i in range(40))
    file.write_text(text)
    first = small(tmp_path, data=file, target="c").run()
    file.write_text(text.replace("3,2,y", "3,9,y"))
    second = small(tmp_path, data=file, target="c").run()
    assert second.reused == 0
    file.rename(tmp_path / "other.csv")
    assert small(tmp_path, data=tmp_path / "other.csv", target="c").run().reused == first.total


def test_another_formula_of_the_same_name_is_trained(tmp_path):
    for text in ("x*tanh(x)", "x*erf(x)"):
        found = small(tmp_path, [plie.define(text, name="mine")], baselines=False).run()
        assert found.reused == 0
    again = small(tmp_path, [plie.define("x*erf(x)", name="yours")], baselines=False).run()
    assert again.reused == again.total


def test_another_release_or_format_trains_anew(tmp_path, monkeypatch):
    for name, value in (("FORMAT", -1), ("__version__", "0.0")):
        small(tmp_path).run()
        monkeypatch.setattr(records, name, value)
        assert small(tmp_path).run().reused == 0


def test_every_setting_is_in_the_row(tmp_path):
    small(tmp_path, "elu:alpha=2", norm="layer", dropout=0.25).run()
    row = next(row for row in rows(tmp_path) if row["spec"] == "elu:alpha=2")
    settings = json.loads(row["settings"])
    assert settings["lr"] == row["lr"]
    assert settings["seed"] == row["seed"]
    assert settings["activation"]["parameters"] == [
        {"name": "alpha", "default": 2.0, **settings["activation"]["parameters"][0]}
    ]
    assert (settings["norm"], settings["dropout"]) == ("layer", 0.25)
    assert settings["recipe"]["optimizer"] == "adam"
    assert settings["torch"] == row["torch"] == str(torch.__version__)
    assert settings["data"]["split_seed"] == 0


# --- files that are no store --------------------------------------------------------------------


def test_a_damaged_file_is_told(tmp_path):
    small(tmp_path).run()
    path = tmp_path / NAME
    path.write_bytes(b"SQLite format 3\0" + os.urandom(5000))
    with pytest.raises(InputError, match="is not a study's store, or a damaged one"):
        small(tmp_path).run()
    path.write_bytes(b"not a database, however long it may be " * 100)
    with pytest.raises(InputError, match="is not a study's store, or a damaged one"):
        load(tmp_path)


def test_a_page_torn_in_the_middle_is_told(tmp_path):
    small(tmp_path, seeds=200, lr_grid=(0.1,), baselines=False).run(executor=quick)
    path = tmp_path / NAME
    whole = path.read_bytes()
    torn = bytearray(whole)
    for page in range(2, len(whole) // 4096):
        torn[page * 4096 : page * 4096 + 200] = os.urandom(200)
    path.write_bytes(torn)
    with pytest.raises(InputError, match=r"damaged one|no study yet"):
        small(tmp_path, seeds=200, lr_grid=(0.1,), baselines=False).run(executor=quick)


def test_a_foreign_file_is_left_alone(tmp_path):
    with sqlite3.connect(tmp_path / NAME) as db:
        db.execute("CREATE TABLE mine (a)")
    before = (tmp_path / NAME).read_bytes()
    with pytest.raises(InputError, match="is not a study's store; move it away"):
        small(tmp_path).run()
    assert (tmp_path / NAME).read_bytes() == before


def test_a_newer_store_is_left_alone(tmp_path):
    small(tmp_path).run()
    with sqlite3.connect(tmp_path / NAME) as db:
        db.execute(f"PRAGMA user_version = {VERSION + 1}")
    with pytest.raises(InputError, match="written by a newer Plié"):
        small(tmp_path).run()
    with pytest.raises(InputError, match="written by a newer Plié"):
        load(tmp_path)


def test_an_empty_file_is_a_new_store(tmp_path):
    (tmp_path / NAME).touch()
    assert small(tmp_path).run().done == 12


def test_no_study_is_told(tmp_path):
    with pytest.raises(InputError, match=r"there is no study in '.*': it holds no study.sqlite"):
        load(tmp_path)
    with Store(tmp_path / NAME):
        pass
    with pytest.raises(InputError, match="holds no study yet"):
        load(tmp_path)


# --- no room ------------------------------------------------------------------------------------


def limit_files():
    resource.setrlimit(resource.RLIMIT_FSIZE, (400_000, 400_000))


def test_a_file_that_may_not_grow_loses_nothing(tmp_path, whole):
    process = start(tmp_path, preexec_fn=limit_files)
    _, err = process.communicate(timeout=120)
    assert process.returncode == 1
    assert b"what was finished is kept, and the same command goes on from there" in err
    stored = rows(tmp_path)
    assert 0 < len(stored) < CELLS
    assert all(row in whole for row in stored)
    assert finish(start(tmp_path)) == (len(stored), CELLS)
    assert rows(tmp_path) == whole


def test_a_full_disk_is_one_sentence_and_loses_nothing(tmp_path):
    def filling(given, data):
        for i, made in enumerate(local(given, data)):
            if i == 1:  # the file may grow no further
                pages = given.store.db.execute("PRAGMA page_count").fetchone()[0]
                given.store.db.execute(f"PRAGMA max_page_count = {pages}")
            yield made

    study = small(tmp_path, seeds=300, hidden=64)
    with pytest.raises(OSError, match="the disk is full; what was finished is kept") as caught:
        study.run(executor=filling)
    assert caught.value.errno == errno.ENOSPC
    assert caught.value.filename == str(tmp_path / NAME)
    kept = count(tmp_path)
    assert kept > 0
    found = study.run()
    assert (found.reused, found.done) == (kept, found.total)


def test_a_job_is_a_pure_function(tmp_path):
    """What a worker elsewhere gets, and gives, survives the way there and back."""
    plan_, candidate, wanted = cells(tmp_path)
    data = records.Points.of(plan_.split)
    job = records.Job(candidate, tuple(wanted[:3]))
    here = run_job(job, data)
    there = pickle.loads(pickle.dumps(run_job(*pickle.loads(pickle.dumps((job, data))))))
    assert [replace(r, seconds=0) for r in here] == [replace(r, seconds=0) for r in there]


def test_an_executor_may_answer_in_any_order(tmp_path, monkeypatch):
    def backwards(given, data):
        taken = []
        while (job := given.take()) is not None:
            taken.append((job, run_job(job, data)))
        yield from reversed(taken)

    monkeypatch.setattr(jobs, "FIRST", 2)
    found = small(tmp_path / "a").run(executor=backwards)
    assert found.done == found.total
    small(tmp_path / "b").run()
    assert rows(tmp_path / "a") == rows(tmp_path / "b")


def test_a_study_of_another_thread_or_process_is_the_latest(tmp_path):
    small(tmp_path, "relu").run()
    small(tmp_path, "tanh").run()
    assert load(tmp_path).groups[-1].label == "MLP, tanh"
    small(tmp_path, "relu").run()
    assert load(tmp_path).groups[-1].label == "MLP, relu"
    assert isinstance(small(tmp_path), Study)
