"""Data sets: the lecture's XOR points, and any CSV file with numbers and a class column.

>>> import plie
>>> points = plie.data.xor(100)
>>> points.features.shape, points.class_names
(torch.Size([100, 2]), ('0', '1'))
"""

from __future__ import annotations

import csv
import difflib
import os
import warnings
from collections import Counter
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import NormalDist
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from plie.errors import InputError, unknown

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True, eq=False)
class Dataset:
    """Points with classes: ``features`` float32 ``(n, d)``, ``labels`` int64 ``(n,)`` in 0…k−1."""

    features: Tensor
    labels: Tensor
    feature_names: tuple[str, ...]
    class_names: tuple[str, ...]
    name: str

    def __len__(self) -> int:
        return len(self.labels)

    @property
    def is_planar(self) -> bool:
        """Whether a decision boundary can be drawn: exactly two features."""
        return len(self.feature_names) == 2

    def standardised(self) -> Dataset:
        """The same points with mean 0 and standard deviation 1 in every feature.

        Raises:
            InputError: a feature that has the same value everywhere.
        """
        wide = self.features.double()
        spread = wide.std(dim=0, correction=0)
        for name, std in zip(self.feature_names, spread.tolist(), strict=True):
            if std == 0:
                raise InputError(f"feature '{name}' has one value only; it cannot be standardised")
        return replace(self, features=((wide - wide.mean(dim=0)) / spread).float())


def xor(n: int = 750, seed: int = 0, wrong: float = 0.01) -> Dataset:
    """XOR: four Gaussian blobs at (±1, ±1), class 0 where the signs agree, then standardised.

    The two classes are equally large (but for one point when n is odd), otherwise a linear
    model's boundary would be shifted by the difference.

    Args:
        n: number of points, at least 4.
        seed: of the generator of these points; no other random state is used or changed.
        wrong: expected share of points outside their own class's two quadrants, between 0 and
            0.5; the blobs' standard deviation follows from it (0.388 for 0.01).

    Raises:
        InputError: ``n`` or ``wrong`` outside these bounds.

    >>> points = xor()
    >>> points.features.shape, points.labels.bincount().tolist()
    (torch.Size([750, 2]), [375, 375])
    """
    if n < 4:
        raise InputError(f"XOR needs at least 4 points, one for each blob, not {n}")
    blob = torch.arange(n) % 4
    # around the square, so that the classes alternate
    centres = torch.tensor([[1, 1], [-1, 1], [-1, -1], [1, -1]], dtype=torch.float64)
    generator = torch.Generator().manual_seed(seed)
    noise = torch.randn(n, 2, generator=generator, dtype=torch.float64)
    points = centres[blob] + xor_deviation(wrong) * noise
    return Dataset(points, blob % 2, ("x1", "x2"), ("0", "1"), "xor").standardised()


def xor_deviation(wrong: float) -> float:
    """The blobs' standard deviation σ at which a share ``wrong`` of XOR points is misplaced.

    A point is misplaced when exactly one coordinate crosses zero: ``2p(1 − p) = wrong`` with
    ``p = Φ(−1/σ)``.

    >>> round(xor_deviation(0.01), 4)
    0.3885
    """
    if not 0 < wrong < 0.5:
        raise InputError(f"the share of misplaced points lies between 0 and 0.5, not {wrong}")
    crossing = (1 - (1 - 2 * wrong) ** 0.5) / 2
    return -1 / NormalDist().inv_cdf(crossing)


TOYS = {"xor": xor}


def load(name_or_path: str | os.PathLike[str], target: str | None = None, seed: int = 0) -> Dataset:
    """A data set by name (``"xor"``), or from a CSV file whose column ``target`` is the class.

    Args:
        name_or_path: a name, or a path; what ends in ``.csv`` or has a folder is a path.
        target: the class column of a file; not for a named data set.
        seed: of a generated data set.

    Raises:
        UnknownNameError: no data set of this name.
        InputError: a file that cannot be used, as `read_csv` says.

    >>> len(load("xor"))
    750
    """
    text = os.fspath(name_or_path)
    if text in TOYS:
        if target is not None:
            raise InputError(f"'{text}' has its own classes; a target column is for a CSV file")
        return TOYS[text](seed=seed)
    if text.lower().endswith(".csv") or Path(text).name != text or Path(text).exists():
        return read_csv(text, target)
    near = _near(text, _files(Path(), ".csv"))
    raise unknown("data set", text, [*TOYS, *near])


def read_csv(path: str | os.PathLike[str], target: str | None) -> Dataset:
    """A CSV file with a header: column ``target`` holds the classes, the others the features.

    Args:
        path: the file.
        target: name of the class column; classes are numbered in sorted order.

    Raises:
        InputError: the file or the column does not exist, the header is missing or names a column
            twice, a feature is not a number, a value is missing or infinite, or there are fewer
            than two classes.
    """
    file = Path(path)
    table = _read_table(file)
    _check_target(table, target, file.name)
    features = table.drop(columns=[target])
    if features.shape[1] == 0:
        raise InputError(f"'{file.name}' has no feature columns beside '{target}'")
    _check_complete(table)
    _check_numbers(features)
    codes, classes = _classes(table[target])
    values = torch.tensor(features.to_numpy(dtype="float32"))
    return Dataset(values, codes, tuple(str(c) for c in features.columns), classes, file.stem)


def _read_table(file: Path) -> pd.DataFrame:
    import pandas as pd

    if not file.is_file():
        raise InputError(f"no file '{file}'{_nearest_file(file)}")
    bad = (pd.errors.EmptyDataError, pd.errors.ParserError, pd.errors.ParserWarning)
    try:
        _check_header(_header(file), file.name)
        with warnings.catch_warnings():
            # rows longer than the header: pandas would drop or shift values
            warnings.simplefilter("error", pd.errors.ParserWarning)
            table = pd.read_csv(file, index_col=False, low_memory=False)
    except (*bad, UnicodeDecodeError, csv.Error) as error:
        reason = str(error).strip().rstrip(".").splitlines()[0]
        raise InputError(f"'{file.name}' is not a readable CSV file: {reason}") from None
    if table.empty:
        raise InputError(f"'{file.name}' has no rows")
    return table


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


def _files(folder: Path, suffix: str = "") -> list[str]:
    there = (each for each in folder.iterdir() if each.name.lower().endswith(suffix))
    return [each.name for each in there if each.is_file()]


def _near(name: str, there: list[str]) -> list[str]:
    return difflib.get_close_matches(name, there, n=1)


def _check_target(table: pd.DataFrame, target: str | None, name: str) -> None:
    columns = [str(column) for column in table.columns]
    if target is None:
        listed = ", ".join(f"'{column}'" for column in columns[:12])
        raise InputError(f"which column of '{name}' is the class? give a target, one of {listed}")
    if target not in columns:
        raise InputError(f"in '{name}': {unknown('column', target, columns)}")


def _check_complete(table: pd.DataFrame) -> None:
    for column, missing in table.isna().sum().items():
        if missing:
            rows = "row" if missing == 1 else "rows"
            raise InputError(f"column '{column}' has no value in {missing} {rows}")


def _check_numbers(features: pd.DataFrame) -> None:
    import numpy as np
    from pandas.api.types import is_numeric_dtype

    for column in features.columns:
        if not is_numeric_dtype(features[column]):
            example = _first_text(features[column])
            raise InputError(f"feature column '{column}' is not numeric: it holds '{example}'")
        with np.errstate(over="ignore"):
            finite = np.isfinite(features[column].to_numpy(dtype="float32"))
        if not finite.all():
            raise InputError(f"column '{column}' has a value that is infinite or too large")


def _first_text(column: pd.Series) -> object:
    """The first value that keeps the column from being one of numbers."""
    import pandas as pd

    strange = column[pd.to_numeric(column, errors="coerce").isna()]
    return (strange if len(strange) else column).iloc[0]


def _classes(column: pd.Series) -> tuple[Tensor, tuple[str, ...]]:
    from pandas.api.types import is_float_dtype

    if is_float_dtype(column) and not (column % 1 == 0).all():
        raise InputError(f"column '{column.name}' holds decimal numbers, not classes")
    values = sorted(column.unique().tolist())
    if len(values) < 2:
        raise InputError(f"column '{column.name}' has one class only; at least two are needed")
    number = {value: i for i, value in enumerate(values)}
    codes = torch.tensor([number[value] for value in column.tolist()])
    return codes, tuple(str(value) for value in values)
