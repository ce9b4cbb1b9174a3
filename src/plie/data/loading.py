"""Data sets by name or from a file: the one door that commands use."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from plie.data.known import KNOWN
from plie.data.tables import SUFFIXES, near_files, read
from plie.data.toys import TOYS
from plie.errors import InputError, unknown

if TYPE_CHECKING:
    from plie.data.dataset import Dataset, Task


def load(
    name_or_path: str | os.PathLike[str],
    target: str | None = None,
    seed: int = 0,
    *,
    task: Task | None = None,
    missing: str = "refuse",
    folder: str | os.PathLike[str] | None = None,
) -> Dataset:
    """A data set by name (``"xor"``), or from a CSV or Parquet file with a column to predict.

    Args:
        name_or_path: one of `names`, in any case, with - or _ or neither; or a path: what ends in
            ``.csv``, ``.parquet`` or ``.pq``, has a folder, or exists.
        target: the column of a file to predict; not for a named data set.
        seed: of a generated data set.
        task: of a file, as in `read_csv`.
        missing: for a file, as in `read_csv`.
        folder: where downloads are kept; the environment variable ``PLIE_DATA`` when None, else
            the user's data folder.

    Raises:
        UnknownNameError: no data set of this name.
        InputError: a file that cannot be used, as `read_csv` says, or a data set that is not on
            this machine and cannot be fetched.

    >>> len(load("xor")), load("breast-cancer").class_names
    (750, ('malignant', 'benign'))
    """
    text = os.fspath(name_or_path)
    name = _BY_KEY.get(_key(text))
    if name is not None:
        _check_named(text, target, task, missing)
        return TOYS[name](seed=seed) if name in TOYS else KNOWN[name].load(folder)
    if text.lower().endswith(SUFFIXES) or Path(text).name != text or Path(text).exists():
        return read(text, target, task, missing)
    raise unknown("data set", text, [*names(), *near_files(text)])


def names() -> list[str]:
    """What `load` knows by name: generated data first, then what is installed, then downloads.

    >>> names()[:8]
    ['xor', 'moons', 'circles', 'spirals', 'blobs', 'checkerboard', 'wave', 'iris']
    """
    return [*TOYS, *KNOWN]


def describe(name: str) -> str:
    """One line about a data set.

    Args:
        name: one of `names`.

    Raises:
        UnknownNameError: no data set of this name.

    >>> describe("iris")
    '150 irises: 4 measurements in cm, 3 species'
    """
    known = _BY_KEY.get(_key(name))
    if known is None:
        raise unknown("data set", name, names())
    if known in KNOWN:
        return KNOWN[known].about
    return (TOYS[known].__doc__ or "").splitlines()[0].rstrip(".").replace("``", "")


def _key(name: str) -> str:
    return name.lower().replace("-", "").replace("_", "").replace(" ", "")


_BY_KEY = {_key(name): name for name in names()}


def _check_named(name: str, target: str | None, task: str | None, missing: str) -> None:
    if target is not None:
        raise InputError(f"'{name}' has its own classes or numbers; a target column is for a file")
    if task is not None or missing != "refuse":
        raise InputError(
            f"'{name}' is complete and has its own task; task and missing are for files"
        )
