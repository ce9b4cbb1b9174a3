"""From a table's columns to tensors: numbers, categories, missing values, the target."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from plie.data.dataset import Dataset, Task
from plie.errors import InputError

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd

MISSING = ("refuse", "drop", "impute")
# More whole numbers than these are amounts, not classes.
MOST_CLASSES_OF_NUMBERS = 20
MOST_CATEGORIES = 50
# From so many rows on, a text that is new in every other row is a name or a remark.
ENOUGH_ROWS = 20


def dataset(
    table: pd.DataFrame, target: str, file: Path, task: Task | None, missing: str
) -> Dataset:
    """The data set of a table with named columns; ``missing`` is one of `MISSING`."""
    if table.shape[1] == 1:
        raise InputError(f"'{file.name}' has no feature columns beside '{target}'")
    table = _complete(table, target, file.name, missing)
    encoded = [pair for name in table if name != target for pair in _encoded(table[name])]
    features = torch.stack([values for _, values in encoded], dim=1)
    names = tuple(name for name, _ in encoded)
    if (task or _task(table[target])) == "regression":
        return Dataset(
            features, _numbers_to_predict(table[target]), names, (), file.stem, (target,)
        )
    codes, classes = _classes(table[target], asked=task is not None)
    return Dataset(features, codes, names, classes, file.stem)


def _complete(table: pd.DataFrame, target: str, file: str, missing: str) -> pd.DataFrame:
    """The table as `missing` asks; only features may still lack values afterwards."""
    if missing == "drop":
        whole = table.dropna()
        if whole.empty:
            raise InputError(f"every row of '{file}' lacks a value; missing='drop' leaves none")
        return whole
    for column, count in table.isna().sum().items():
        if count and (missing == "refuse" or column == target):
            _refuse_missing(str(column), count, column == target)
        if count == len(table):
            raise InputError(f"column '{column}' has no value at all; leave it out")
    return table


def _refuse_missing(column: str, count: int, is_target: bool) -> None:
    rows = "row" if count == 1 else "rows"
    fill = "" if is_target else ", and missing='impute' fills them in"
    raise InputError(
        f"column '{column}' has no value in {count} {rows}; "
        f"missing='drop' leaves such rows out{fill}"
    )


def _encoded(column: pd.Series) -> Iterator[tuple[str, Tensor]]:
    """The features that a column becomes, with their names."""
    if _is_categorical(column):
        _check_categories(column)
        # The name that a missing value gets may be there already; both then mean the same.
        texts = column.astype("object").where(column.notna(), "missing")
        for value in _sorted(texts):
            there = (texts == value).to_numpy()
            yield f"{column.name}={value}", torch.from_numpy(there.astype("float32"))
    else:
        yield str(column.name), _numbers(column, "feature column")


def _is_categorical(column: pd.Series) -> bool:
    """Text, truth values, or what its file declares as categories."""
    from pandas.api.types import is_bool_dtype, is_object_dtype, is_string_dtype

    if is_object_dtype(column):
        return bool(column.dropna().map(lambda value: isinstance(value, str | bool)).all())
    declared = str(column.dtype) == "category"
    return declared or bool(is_bool_dtype(column) or is_string_dtype(column))


def _check_categories(column: pd.Series) -> None:
    import pandas as pd

    present = column.dropna()
    if present.map(lambda value: isinstance(value, str)).all():
        numeric = pd.to_numeric(present.astype("object"), errors="coerce").notna()
        if 0.5 <= numeric.mean() < 1:
            example = present[~numeric].iloc[0]
            raise InputError(f"feature column '{column.name}' is not numeric: it holds '{example}'")
    if column.nunique() > MOST_CATEGORIES or _is_varied(column):
        raise InputError(
            f"feature column '{column.name}' has {column.nunique()} different values in "
            f"{len(column)} rows, too many for categories; leave it out or turn it into numbers"
        )


def _is_varied(column: pd.Series) -> bool:
    """Whether every second row or more has a value of its own, as a name or a remark."""
    rows = len(column)
    return rows >= ENOUGH_ROWS and column.nunique() > rows / 2


def _numbers(column: pd.Series, kind: str) -> Tensor:
    """The column as float32, NaN where nothing is; refused where it is no column of numbers."""
    import numpy as np
    from pandas.api.types import is_bool_dtype, is_numeric_dtype

    if not is_numeric_dtype(column) or is_bool_dtype(column):
        example = column.dropna().iloc[0]
        raise InputError(f"{kind} '{column.name}' is not numeric: it holds '{example}'")
    with np.errstate(over="ignore"):
        values: np.ndarray[Any, Any] = column.to_numpy(dtype="float64", na_value=np.nan)
        values = values.astype("float32")
    if np.isinf(values).any():
        raise InputError(f"column '{column.name}' has a value that is infinite or too large")
    return torch.from_numpy(values)


def _task(column: pd.Series) -> Task:
    """What a target column is for, where nobody says."""
    from pandas.api.types import is_bool_dtype, is_numeric_dtype

    if not is_numeric_dtype(column) or is_bool_dtype(column):
        return "classification"
    many = column.nunique() > MOST_CLASSES_OF_NUMBERS
    return "regression" if many or _has_decimals(column) else "classification"


def _has_decimals(column: pd.Series) -> bool:
    from pandas.api.types import is_float_dtype

    return is_float_dtype(column) and not bool((column % 1 == 0).all())


def _numbers_to_predict(column: pd.Series) -> Tensor:
    values = _numbers(column, "target column")
    if values.min() == values.max():
        raise InputError(f"column '{column.name}' has one value only; there is nothing to predict")
    return values[:, None]


def _classes(column: pd.Series, asked: bool) -> tuple[Tensor, tuple[str, ...]]:
    """The classes' numbers and names; ``asked`` where somebody said that they are classes."""
    _check_classes(column, asked)
    values = _sorted(column)
    if len(values) < 2:
        raise InputError(f"column '{column.name}' has one class only; at least two are needed")
    number = {value: i for i, value in enumerate(values)}
    codes = torch.tensor([number[value] for value in column.tolist()])
    return codes, tuple(str(value) for value in values)


def _check_classes(column: pd.Series, asked: bool) -> None:
    from pandas.api.types import is_numeric_dtype

    if not (is_numeric_dtype(column) or _is_categorical(column)):
        example = column.iloc[0]
        raise InputError(
            f"target column '{column.name}' holds neither numbers nor text: '{example}'"
        )
    if _has_decimals(column):
        raise InputError(
            f"column '{column.name}' holds decimal numbers, not classes; "
            "task='regression' predicts numbers"
        )
    if not asked and _is_varied(column):
        raise InputError(
            f"target column '{column.name}' has {column.nunique()} different values in "
            f"{len(column)} rows, too many for classes; name another target, or a task"
        )


def _sorted(column: pd.Series) -> list[Any]:
    values = column.unique().tolist()
    try:
        return sorted(values)
    except TypeError:  # text beside truth values
        return sorted(values, key=str)
