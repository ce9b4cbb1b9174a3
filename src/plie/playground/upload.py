"""A CSV file of whatever kind, as points: two columns of numbers and one of classes."""

from __future__ import annotations

import csv
import io
import math
import re
from dataclasses import dataclass
from typing import Any

import torch

from plie.errors import InputError, unknown
from plie.playground.points import CLASSES, DRAWN, MOST, Points, pack

UPLOAD = 2**20  # bytes of a file
MOST_COLUMNS = 200
SEPARATORS = ",;\t"
NOTHING = frozenset(("", "?", "-", "na", "n/a", "nan", "null", "none"))
NAME = 60  # characters of a column
_COMMA = re.compile(r"[+-]?\d+,\d+")  # a number as much of Europe writes it


def from_csv(
    text: str, name: str = "", columns: list[str] | None = None, target: str | None = None
) -> dict[str, Any]:
    r"""Two columns of a CSV file as points, each with mean 0 and deviation 1.

    Commas, semicolons or tabs separate; with the last two, a number may have a decimal comma.
    Rows without a number in one of the two columns, or without a class, are left out; the other
    columns may hold anything.

    Args:
        text: the file.
        name: of the file, for messages.
        columns: the two features; the first two that are numbers when None.
        target: the column with the classes; the last one that can be when None.

    Returns:
        a page's ``csv`` message: the columns that can be chosen, and the data.

    Raises:
        InputError: a file that is too large, cannot be read or holds no two features and classes.

    >>> found = from_csv("a;b;kind\n1,5;2;x\n2,5;1;y\n3;5;x\n;5;x\n")
    >>> found["columns"], found["target"], found["rows"], found["kept"]
    (['a', 'b'], 'kind', 4, 3)
    """
    table = _Table.of(text, name[:80] or "the file")
    target = table.usual_target if target is None else target
    if target not in table.header:
        raise unknown("column", target[:NAME], table.header)
    numeric = [each for each in table.numbers if each != target]
    columns = numeric[:2] if columns is None else columns
    if len(set(columns)) != 2 or any(each not in numeric for each in columns):
        raise InputError(
            f"choose two different columns of numbers among {', '.join(numeric[:20]) or 'none'}"
        )
    features, kinds = table.chosen(columns, target)
    classes = _sorted(set(kinds))
    if len(classes) < 2:
        raise InputError(f"'{target}' has fewer than two classes to tell apart")
    if len(classes) > CLASSES:
        raise InputError(f"'{target}' has {len(classes)} classes; at most {CLASSES} can be shown")
    labels = torch.tensor([classes.index(each) for each in kinds])
    features = (features - features.mean(0)) / features.std(0).clamp_min(1e-12)
    if len(labels) > MOST:
        rows = torch.randperm(len(labels), generator=torch.Generator().manual_seed(0))[:MOST]
        features, labels = features[rows], labels[rows]
    names = (columns[0], columns[1])
    data = Points(DRAWN, len(labels), points=pack(features, labels), names=names)
    return {
        "kind": "csv",
        "name": name[:80],
        "columns": numeric,
        "targets": table.header,
        "chosen": list(columns),
        "target": target,
        "classes": [each[:NAME] for each in classes],
        "data": data.as_json(),
        "rows": len(table.rows),
        "kept": len(labels),
    }


@dataclass(frozen=True, eq=False)
class _Table:
    """The cells of a file, ``""`` where nothing is, and its columns of numbers."""

    header: list[str]
    rows: list[list[str]]
    numbers: dict[str, list[float | None]]

    @staticmethod
    def of(text: str, file: str) -> _Table:
        """Read it, or say what is wrong."""
        if len(text.encode("utf-8", "replace")) > UPLOAD:
            raise InputError(f"a CSV file may have {UPLOAD // 2**20} MiB here")
        header, *rows = _cells(text.removeprefix("\ufeff"), file) or [[]]
        if len(header) < 3:
            raise InputError(
                "a CSV file needs a header and three columns, two features and a class; this one "
                f"has {len(header)}"
            )
        if len(header) > MOST_COLUMNS:
            raise InputError(f"{file} has {len(header)} columns; at most {MOST_COLUMNS} are read")
        if all(_number(cell) is not None for cell in header):
            raise InputError(f"{file} has no header: its first line holds only numbers, no names")
        names = [cell[:NAME] or f"column {i}" for i, cell in enumerate(header, 1)]
        for each in names:
            if names.count(each) > 1:
                raise InputError(f"{file} has two columns named '{each}'; each needs its own name")
        for i, row in enumerate(rows, 1):
            if len(row) > len(header):
                raise InputError(f"row {i} has {len(row)} values for {len(header)} columns")
            row += [""] * (len(header) - len(row))
        if not rows:
            raise InputError(f"{file} has no rows")
        found = {each: _numbers([row[k] for row in rows]) for k, each in enumerate(names)}
        return _Table(names, rows, {name: numbers for name, numbers in found.items() if numbers})

    @property
    def usual_target(self) -> str:
        """The last column; where it has too many values, the last text that has not."""
        last = self.header[-1]
        texts = [each for each in self.header if each not in self.numbers]
        return next((each for each in (last, *reversed(texts)) if self._is_classes(each)), last)

    def _is_classes(self, column: str) -> bool:
        k = self.header.index(column)
        return 2 <= len({row[k] for row in self.rows} - {""}) <= CLASSES

    def chosen(self, columns: list[str], target: str) -> tuple[torch.Tensor, list[str]]:
        """Features and classes of the rows that have them all."""
        k = self.header.index(target)
        across, up = (self.numbers[each] for each in columns)
        kept = [
            (x, y, row[k])
            for x, y, row in zip(across, up, self.rows, strict=True)
            if x is not None and y is not None and row[k]
        ]
        features = torch.tensor([each[:2] for each in kept], dtype=torch.float64).view(-1, 2)
        return features, [each[2] for each in kept]


def _cells(text: str, file: str) -> list[list[str]]:
    """Of every line that is not blank."""
    first = next((line for line in text.splitlines() if line.strip()), "")
    separator = max(SEPARATORS, key=first.count)
    try:
        lines = list(csv.reader(io.StringIO(text, newline=""), delimiter=separator))
    except csv.Error as error:
        raise InputError(f"{file} is not a readable CSV file: {error}") from None
    rows = [[_tidy(cell, separator) for cell in line] for line in lines]
    return [row for row in rows if any(row)]


def _tidy(cell: str, separator: str) -> str:
    cell = cell.strip()
    if cell.lower() in NOTHING:
        return ""
    return cell.replace(",", ".") if separator != "," and _COMMA.fullmatch(cell) else cell


def _numbers(cells: list[str]) -> list[float | None]:
    """A column's numbers, None where nothing is; empty where something else stands in it."""
    found = [_number(cell) for cell in cells]
    wrong = any(cell and each is None for cell, each in zip(cells, found, strict=True))
    return [] if wrong or not any(cells) else found


def _number(cell: str) -> float | None:
    try:
        value = float(cell)
    except ValueError:
        return None
    return value if math.isfinite(value) and abs(value) < 1e30 else None


def _sorted(texts: set[str]) -> list[str]:
    """As numbers where all of them are."""
    values = {text: _number(text) for text in texts}
    if None in values.values():
        return sorted(texts)
    return sorted(texts, key=lambda text: (values[text], text))
