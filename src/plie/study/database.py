"""The store: one SQLite file, one row for each trained network."""

from __future__ import annotations

import errno
import json
import os
import platform
import secrets
import sqlite3
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from plie.errors import InputError, PlieError

if TYPE_CHECKING:
    from plie.study.records import Candidate, Cell, CellResult

NAME = "study.sqlite"
VERSION = 2  # of the tables
APPLICATION = 0x506C6965  # "Plie", in the file's header
BUSY = 60.0  # seconds to wait for another process's transaction
EXPIRY = 600.0  # seconds after which a worker that stored nothing has lost its claims
_MANY = 500  # values in one question

SCHEMA = """
CREATE TABLE cells (
  key TEXT PRIMARY KEY, candidate TEXT NOT NULL, model TEXT NOT NULL, activation TEXT NOT NULL,
  spec TEXT NOT NULL, data TEXT NOT NULL, lr REAL NOT NULL, seed INTEGER NOT NULL,
  train_loss REAL, train_score REAL, validation_loss REAL, validation_score REAL,
  test_loss REAL, test_score REAL, seconds REAL NOT NULL, diverged INTEGER NOT NULL,
  epochs INTEGER NOT NULL, best_epoch INTEGER NOT NULL, plie TEXT NOT NULL, torch TEXT NOT NULL,
  created TEXT NOT NULL DEFAULT (datetime('now')), settings TEXT NOT NULL, probes TEXT NOT NULL,
  curves BLOB NOT NULL, confusion BLOB NOT NULL, parameters BLOB NOT NULL,
  validation_robust REAL, test_robust REAL
) STRICT;
CREATE INDEX cells_of ON cells (candidate);
CREATE TABLE claims (key TEXT PRIMARY KEY, worker TEXT NOT NULL) STRICT;
CREATE TABLE workers (worker TEXT PRIMARY KEY, seen REAL NOT NULL) STRICT;
CREATE TABLE studies (
  digest TEXT PRIMARY KEY, record TEXT NOT NULL, command TEXT NOT NULL, used REAL NOT NULL
) STRICT;
"""
MEASURES = (
    *("lr", "seed", "train_loss", "train_score", "validation_loss", "validation_score"),
    *("test_loss", "test_score", "seconds", "diverged", "epochs", "best_epoch"),
    *("validation_robust", "test_robust"),
)
_COLUMNS = (
    *("key", "candidate", "model", "activation", "spec", "data", *MEASURES),
    *("plie", "torch", "settings", "probes", "curves", "confusion", "parameters"),
)
_INSERT = (
    f"INSERT OR IGNORE INTO cells ({', '.join(_COLUMNS)}) VALUES ({', '.join('?' * len(_COLUMNS))})"
)


class Store:
    """Trained networks in a file that several processes may use at once.

    A transaction is on the disk when it ends, so that nothing but the networks in training is
    lost with the process, the power, or the room on the disk. Who trains a network claims it
    first. A claim is void once its process has ended or has stored nothing for ten minutes; should
    a network be trained twice all the same, the first result stays.

    Args:
        path: the file.
        create: whether to make it where there is none.

    Raises:
        InputError: no such file, a file that is no store, or one of a newer Plié.
        OSError: a file that cannot be read or written.
    """

    def __init__(self, path: Path, *, create: bool = True) -> None:
        self.path = path
        self.claims = False
        self.worker = f"{platform.node()} {os.getpid()} {secrets.token_hex(4)}"
        if not create and not path.is_file():
            raise InputError(f"there is no study in '{path.parent}': it holds no {path.name}")
        with self._errors():
            self.db = sqlite3.connect(path, timeout=BUSY, isolation_level=None)
            try:
                self._open()
            except BaseException:
                self.db.close()
                raise

    def __enter__(self) -> Store:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Give up what is claimed and close the file."""
        try:
            if not self.claims:  # who only reads must not need to write
                return
            with self.transaction():
                self.db.execute("DELETE FROM claims WHERE worker = ?", (self.worker,))
                self.db.execute("DELETE FROM workers WHERE worker = ?", (self.worker,))
        except (OSError, PlieError):
            pass  # a full disk: the claims end with the process
        finally:
            self.db.close()

    def _open(self) -> None:
        (application,) = self.db.execute("PRAGMA application_id").fetchone()
        (tables,) = self.db.execute("SELECT count(*) FROM sqlite_schema").fetchone()
        if application != APPLICATION and tables:
            raise InputError(f"'{self.path}' is not a study's store; move it away")
        (version,) = self.db.execute("PRAGMA user_version").fetchone()
        if version > VERSION:
            raise InputError(
                f"'{self.path}' was written by a newer Plié (its format is {version}, this one "
                f"knows {VERSION}); update Plié, or use another folder"
            )
        if not tables:
            _retry(lambda: self.db.execute("PRAGMA journal_mode = WAL").fetchone())
        # every transaction waits for the disk: they are few
        self.db.execute("PRAGMA synchronous = FULL")
        if not tables:
            self._create()

    def _create(self) -> None:
        with self.transaction():
            (tables,) = self.db.execute("SELECT count(*) FROM sqlite_schema").fetchone()
            if tables:  # another process was faster
                return
            for statement in filter(str.strip, SCHEMA.split(";")):
                self.db.execute(statement)
            self.db.execute(f"PRAGMA user_version = {VERSION}")
            self.db.execute(f"PRAGMA application_id = {APPLICATION}")

    def _update(self) -> None:
        """Add what version 2 has to a store of version 1, which is read as it is until then."""
        missing = set(MEASURES) - self._columns()
        for column in missing:
            self.db.execute(f"ALTER TABLE cells ADD COLUMN {column} REAL")
        if missing:
            self.db.execute(f"PRAGMA user_version = {VERSION}")

    def _columns(self) -> set[str]:
        return {row[1] for row in self.db.execute("PRAGMA table_info(cells)")}

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """All of what is done inside, or nothing."""
        with self._errors():
            self.db.execute("BEGIN IMMEDIATE")
            try:
                yield
                self.db.execute("COMMIT")
            except BaseException:
                if self.db.in_transaction:
                    self.db.execute("ROLLBACK")
                raise

    @contextmanager
    def _errors(self) -> Iterator[None]:
        """SQLite's errors as what they are to a user."""
        try:
            yield
        except sqlite3.DatabaseError as error:
            name = getattr(error, "sqlite_errorname", "")
            if name.startswith(("SQLITE_NOTADB", "SQLITE_CORRUPT")):
                raise InputError(
                    f"'{self.path}' is not a study's store, or a damaged one ({error}); "
                    "move it away and the study starts anew"
                ) from None
            if name == "SQLITE_FULL":
                raise OSError(errno.ENOSPC, f"the disk is full; {KEPT}", str(self.path)) from None
            if name.startswith("SQLITE_IOERR"):
                raise OSError(errno.EIO, f"{error}; {KEPT}", str(self.path)) from None
            if name.startswith(("SQLITE_CANTOPEN", "SQLITE_READONLY", "SQLITE_PERM")):
                raise OSError(errno.EACCES, str(error), str(self.path)) from None
            if name.startswith(("SQLITE_BUSY", "SQLITE_LOCKED")):
                what = f"another process has kept it locked for {BUSY:g} s; {KEPT}"
                raise OSError(errno.EBUSY, what, str(self.path)) from None
            raise

    # --- networks -------------------------------------------------------------------------------

    def done(self, candidate: Candidate) -> set[str]:
        """The keys of the candidate's networks that are trained."""
        with self._errors():
            question = "SELECT key FROM cells WHERE candidate = ?"
            return {key for (key,) in self.db.execute(question, (candidate.digest,))}

    def claim(self, cells: Sequence[Cell]) -> tuple[list[Cell], set[str]]:
        """Those of the cells that are ours to train now, and the keys of those already trained."""
        keys = [cell.key for cell in cells]
        with self.transaction():
            self._update()
            done = {key for (key,) in self._where("SELECT key FROM cells", keys)}
            workers = dict(self.db.execute("SELECT worker, seen FROM workers"))
            alive = {worker for worker, seen in workers.items() if self._lives(worker, seen)}
            held = dict(self._where("SELECT key, worker FROM claims", keys))
            free = [c for c in cells if c.key not in done and held.get(c.key) not in alive]
            if not free:
                return free, done
            self._seen()
            self.claims = True
            rows = [(cell.key, self.worker) for cell in free]
            self.db.executemany("INSERT OR REPLACE INTO claims VALUES (?, ?)", rows)
        return free, done

    def put(self, candidate: Candidate, results: Sequence[CellResult]) -> None:
        """Store trained networks, all or none; one that is there already stays as it is."""
        with self.transaction():
            self._seen()
            self.db.executemany(_INSERT, _rows(candidate, results))
            keys = [(result.cell.key,) for result in results]
            self.db.executemany("DELETE FROM claims WHERE key = ?", keys)

    def beat(self) -> None:
        """Say that this worker is still at its networks."""
        with self.transaction():
            self._seen()

    def _seen(self) -> None:
        row = (self.worker, time.time())
        self.db.execute("INSERT OR REPLACE INTO workers VALUES (?, ?)", row)

    def _lives(self, worker: str, seen: float) -> bool:
        """Whether a worker may still be training; one of this machine is asked for."""
        if worker == self.worker:
            return True
        if abs(time.time() - seen) > EXPIRY:
            return False
        host, pid, _ = worker.rsplit(" ", 2)
        return host != platform.node() or (int(pid) != os.getpid() and _runs(int(pid)))

    def _where(self, select: str, keys: Sequence[str]) -> Iterator[Any]:
        for first in range(0, len(keys), _MANY):
            part = keys[first : first + _MANY]
            yield from self.db.execute(f"{select} WHERE key IN ({','.join('?' * len(part))})", part)

    def measures(self, candidate: Candidate) -> Iterator[tuple[Any, ...]]:
        """(key, *`MEASURES`) of each of its trained networks, without anything large."""
        with self._errors():
            there = self._columns()
            columns = ", ".join(n if n in there else f"NULL AS {n}" for n in ("key", *MEASURES))
            question = f"SELECT {columns} FROM cells WHERE candidate = ?"
            yield from self.db.execute(question, (candidate.digest,))

    def column(self, name: str, keys: Iterable[str]) -> Iterator[Any]:
        """One column of these networks, in the order given, one in memory at a time."""
        with self._errors():
            for key in keys:
                question = f"SELECT {name} FROM cells WHERE key = ?"
                yield self.db.execute(question, (key,)).fetchone()[0]

    # --- studies --------------------------------------------------------------------------------

    def remember(self, digest: str, record: dict[str, Any], command: str) -> None:
        """Note which networks a study takes; it is then the latest."""
        row = (digest, json.dumps(record, allow_nan=False), command, time.time())
        with self.transaction():
            self.db.execute("INSERT OR REPLACE INTO studies VALUES (?, ?, ?, ?)", row)

    def latest(self) -> dict[str, Any]:
        """The record of the study that was run last.

        Raises:
            InputError: where none was.
        """
        with self._errors():
            question = "SELECT record FROM studies ORDER BY used DESC, rowid DESC LIMIT 1"
            found = self.db.execute(question).fetchone()
        if found is None:
            raise InputError(f"'{self.path}' holds no study yet")
        record: dict[str, Any] = json.loads(found[0])
        return record


KEPT = "what was finished is kept, and the same command goes on from there"


def _rows(candidate: Candidate, results: Sequence[CellResult]) -> Iterator[tuple[Any, ...]]:
    fixed = candidate.settings
    act = candidate.activation.label if candidate.activation else ""
    who = (candidate.digest, candidate.model, act, candidate.spec, candidate.dataset)
    shared = json.dumps(fixed).removesuffix("}")  # once: it takes as long as storing the rest
    for result in results:
        key, lr, seed = result.cell
        settings = f'{shared}, "lr": {json.dumps(lr)}, "seed": {seed}}}'
        yield (
            *(key, *who, lr, seed, *result.train[:2], *result.validation[:2], *result.test[:2]),
            *(result.seconds, result.diverged, result.epochs, result.best),
            *(result.validation.robust, result.test.robust),
            *(fixed["plie"], fixed["torch"], settings, result.probes),
            *(result.curves, result.confusion, result.parameters),
        )


def _runs(pid: int) -> bool:
    if os.name == "nt":  # where this question would end it
        return True
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except OSError:
        return True
    return True


def _retry(action: Any, seconds: float = 10.0) -> None:
    """The change to WAL does not wait for others by itself."""
    end = time.monotonic() + seconds
    while True:
        try:
            action()
        except sqlite3.OperationalError:
            if time.monotonic() > end:
                raise
            time.sleep(0.05)
        else:
            return
