"""CSV and Parquet files: what is read, and every way in which it can be unusable."""

from __future__ import annotations

import csv
import difflib
import os
import warnings
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, get_args

from plie.data.columns import MISSING, dataset
from plie.data.dataset import Dataset, Task
from plie.errors import InputError, unknown

if TYPE_CHECKING:
    import pandas as pd

SUFFIXES = (".csv", ".parquet", ".pq")


def read_csv(
    path: str | os.PathLike[str],
    target: str | None,
    *,
    task: Task | None = None,
    missing: str = "refuse",
) -> Dataset:
    r"""A CSV file with a header: column ``target`` is what to predict, the others the features.

    Numbers are features as they are. A column of text or truth values becomes one feature for
    each of its values, in sorted order, 1 where the row has it: ``"colour=red"``.

    Args:
        path: the file.
        target: the column to predict. Classes are numbered in sorted order.
        task: ``"classification"`` or ``"regression"``; when None, decimal numbers and more than
            20 different whole ones are predicted as numbers, everything else as classes.
        missing: ``"refuse"`` a file with missing values; ``"drop"`` rows that have one; or
            ``"impute"``: numbers become the median of the training part when the data is split
            (NaN before), and text a value of its own, ``"missing"``.

    Raises:
        InputError: the file or the column does not exist, the header is missing or names a column
            twice, a column is neither numbers nor a manageable number of categories, a value is
            infinite or missing, or there is nothing to tell apart in the target.

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     file = Path(folder, "fruit.csv")
    ...     _ = file.write_text("grams,colour,kind\n80,red,apple\n75,red,plum\n9,blue,plum\n")
    ...     fruit = read_csv(file, "kind")
    >>> fruit.feature_names, fruit.class_names
    (('grams', 'colour=blue', 'colour=red'), ('apple', 'plum'))
    """
    return _read(Path(path), _read_csv, target, task, missing)


def read_parquet(
    path: str | os.PathLike[str],
    target: str | None,
    *,
    task: Task | None = None,
    missing: str = "refuse",
) -> Dataset:
    """A Parquet file, in everything else as `read_csv`; needs the extra ``plie[parquet]``.

    Args:
        path: the file.
        target: the column to predict.
        task: as in `read_csv`.
        missing: as in `read_csv`.

    Raises:
        InputError: as in `read_csv`, or pyarrow is not installed.

    >>> import tempfile, pandas
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     file = Path(folder, "fruit.parquet")
    ...     pandas.DataFrame({"grams": [80, 75], "kind": ["apple", "plum"]}).to_parquet(file)
    ...     len(read_parquet(file, "kind"))
    2
    """
    return _read(Path(path), _read_parquet, target, task, missing)


def read(path: str, target: str | None, task: Task | None, missing: str) -> Dataset:
    """A file by its suffix; what is not Parquet is taken for CSV."""
    parquet = path.lower().endswith((".parquet", ".pq"))
    return (read_parquet if parquet else read_csv)(path, target, task=task, missing=missing)


def near_files(name: str) -> list[str]:
    """The data file in this folder whose name is nearest, if one is near."""
    return _near(name, _files(Path(), SUFFIXES))


def _read(
    file: Path,
    reader: Callable[[Path], pd.DataFrame],
    target: str | None,
    task: Task | None,
    missing: str,
) -> Dataset:
    if task is not None and task not in get_args(Task):
        raise unknown("task", str(task), get_args(Task))
    if missing not in MISSING:
        raise unknown("way with missing values", str(missing), MISSING)
    if not file.is_file():
        raise InputError(f"no file '{file}'{_nearest_file(file)}")
    table = reader(file)
    if table.empty:
        raise InputError(f"'{file.name}' has no rows")
    return dataset(table, _check_target(table, target, file.name), file, task, missing)


def _read_csv(file: Path) -> pd.DataFrame:
    import pandas as pd

    bad = (pd.errors.EmptyDataError, pd.errors.ParserError, pd.errors.ParserWarning)
    try:
        _check_header(_header(file), file.name)
        with warnings.catch_warnings():
            # rows longer than the header: pandas would drop or shift values
            warnings.simplefilter("error", pd.errors.ParserWarning)
            return pd.read_csv(file, index_col=False, low_memory=False)
    except (*bad, UnicodeDecodeError, csv.Error) as error:
        raise InputError(f"'{file.name}' is not a readable CSV file: {_reason(error)}") from None


def _read_parquet(file: Path) -> pd.DataFrame:
    import pandas as pd

    try:
        table = pd.read_parquet(file)
    except ImportError:
        raise InputError(
            f"'{file.name}' needs pyarrow to be read: pip install 'plie[parquet]'"
        ) from None
    except (OSError, ValueError) as error:  # pyarrow's own errors are ValueErrors
        raise InputError(
            f"'{file.name}' is not a readable Parquet file: {_reason(error)}"
        ) from None
    return table.rename(columns=str)


def _reason(error: Exception) -> str:
    return next(iter(str(error).strip().rstrip(".").splitlines()), type(error).__name__)


def _header(file: Path) -> list[str]:
    """The names as they are written: pandas would rename one that comes twice."""
    with file.open(encoding="utf-8-sig", newline="") as lines:
        return next((row for row in csv.reader(lines) if row), [])


def _check_header(names: list[str], file: str) -> None:
    for separator, word in {";": "semicolons", "\t": "tabs"}.items():
        if len(names) == 1 and separator in names[0]:
            raise InputError(f"'{file}' is separated by {word}; a CSV file needs commas")
    if names and all(map(_is_number, names)):
        raise InputError(
            f"'{file}' has no header row: its first line holds only numbers, not names of columns"
        )
    for name, count in Counter(names).items():
        if name and count > 1:
            raise InputError(
                f"'{file}' has {count} columns named '{name}'; each needs its own name"
            )


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def _nearest_file(file: Path) -> str:
    if file.is_dir():
        return ": it is a folder"
    try:
        near = _near(file.name, _files(file.parent))
    except OSError:
        return f"; there is no folder '{file.parent}'"
    return f"; did you mean '{near[0]}'?" if near else ""


def _files(folder: Path, suffixes: tuple[str, ...] = ("",)) -> list[str]:
    there = (each for each in folder.iterdir() if each.name.lower().endswith(suffixes))
    return [each.name for each in there if each.is_file()]


def _near(name: str, there: list[str]) -> list[str]:
    return difflib.get_close_matches(name, there, n=1)


def _check_target(table: pd.DataFrame, target: str | None, name: str) -> str:
    columns = [str(column) for column in table.columns]
    if target is None:
        listed = ", ".join(f"'{column}'" for column in columns[:12])
        raise InputError(
            f"which column of '{name}' is to be predicted? give a target, one of {listed}"
        )
    if target not in columns:
        raise InputError(f"in '{name}': {unknown('column', target, columns)}")
    return target
