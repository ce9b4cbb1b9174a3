"""A study in words: the options of a command line, or the same words in a YAML file.

>>> read({"data": "digits", "act": "relu,silu", "seeds": "3,5", "no-baselines": True}).members
(3, 5)
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import fields
from pathlib import Path
from typing import Any

import yaml

from plie.errors import InputError, unknown
from plie.study.grid import Study
from plie.words import number, split_commas

SUFFIXES = (".yaml", ".yml")

Reader = Callable[[str, Any], Any]


def read(words: Mapping[str, Any], dash: str = "") -> Study:
    """The study of these words; what a file says goes after the words beside it.

    Args:
        words: values by the options' names, as text or as YAML has them.
        dash: what a name begins with where it was typed.

    Raises:
        UnknownNameError: a word that is no option.
        InputError: a value that cannot be used.
    """
    file = str(words.get("data", ""))
    if file.lower().endswith(SUFFIXES):
        given = {name: value for name, value in words.items() if name != "data"}
        return Study(**{**_checked(read_file(Path(file)), file), **_values(given, dash)})
    return Study(**_values(words, dash))


def read_file(path: Path) -> dict[str, Any]:
    """The words of a YAML file, which is read as data and never executed.

    Raises:
        InputError: no such file, or one that is no mapping of words to values.
    """
    try:
        text = path.read_text("utf-8")
    except FileNotFoundError:
        raise InputError(f"no file '{path}'") from None
    except UnicodeDecodeError:
        raise InputError(f"'{path}' is not a text file") from None
    try:
        found = yaml.safe_load(text)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        where = f" (line {mark.line + 1})" if mark else ""
        what = getattr(error, "problem", None) or str(error).splitlines()[0]
        raise InputError(f"'{path}' is not a readable YAML file: {what}{where}") from None
    if not isinstance(found, dict) or "data" not in found:
        raise InputError(f"'{path}' holds no study; it takes lines such as 'data: digits'")
    for name, value in found.items():  # nothing nested: it could be printed without end
        if not all(isinstance(each, str | int | float | None) for each in _list(value)):
            raise InputError(f"in '{path}': {name} takes a word, a number, or a list of them")
    return {str(name).replace("_", "-"): value for name, value in found.items()}


def _checked(words: dict[str, Any], file: str) -> dict[str, Any]:
    try:
        return _values(words, "")
    except InputError as error:
        raise InputError(f"in '{file}': {error}") from None


def _values(words: Mapping[str, Any], dash: str) -> dict[str, Any]:
    """Arguments of `Study`."""
    values = {}
    for word, value in words.items():
        if word not in READERS:
            raise unknown("option", f"{dash}{word}", [f"{dash}{name}" for name in READERS])
        if value is None:
            continue
        name = word.removeprefix("no-").replace("-", "_")
        values["folder" if name == "out" else name] = READERS[word](f"{dash}{word}", value)
    return values


def _acts(word: str, value: Any) -> list[str]:
    found = split_commas([each for each in _list(value) if isinstance(each, str)])
    if not found:
        raise InputError(f"{word} names no activation")
    return found


def _list(value: Any) -> list[Any]:
    return list(value) if isinstance(value, list | tuple) else [value]


def whole(word: str, value: Any) -> int:
    """A whole number, whether text or number."""
    return number(word, value, int)


def _real(word: str, value: Any) -> float:
    return number(word, value, float)


def _numbers(word: str, value: Any, kind: Any, what: str) -> list[Any]:
    parts = [
        p for each in _list(value) for p in (each.split(",") if isinstance(each, str) else [each])
    ]
    parts = [part for part in parts if not (isinstance(part, str) and not part.strip())]
    try:
        return [number(word, part, kind) for part in parts]
    except InputError:
        raise InputError(f"{word} takes {what}, not '{value}'") from None


def _sizes(word: str, value: Any) -> list[int]:
    return _numbers(word, value, int, "whole numbers such as 50 or 64,64")


def _rates(word: str, value: Any) -> list[float]:
    return _numbers(word, value, float, "numbers such as 0.001,0.01,0.1")


def _seeds(word: str, value: Any) -> int | list[int]:
    """``20`` is how many; ``3,5,8``, ``3,`` or a list is which."""
    which = isinstance(value, list) or (isinstance(value, str) and "," in value)
    if which:
        return _numbers(word, value, int, "a number of seeds, or seeds such as 3,5,8")
    return whole(word, value)


def _batch(word: str, value: Any) -> Any:
    return "full" if value == "full" else number(word, value, int, "a whole number or 'full'")


def _text(word: str, value: Any) -> str:
    if isinstance(value, bool | list):
        raise InputError(f"{word} takes a word, not '{value}'")
    return str(value)


def _name(word: str, value: Any) -> str | None:
    """``none`` is a value, too."""
    text = _text(word, value)
    return None if text == "none" else text


def _flag(word: str, value: Any) -> bool:
    if not isinstance(value, bool):
        raise InputError(f"{word} is true or false, not '{value}'")
    return value


def _not(word: str, value: Any) -> bool:
    return not _flag(word, value)


READERS: dict[str, Reader] = {
    "data": _text,
    "act": _acts,
    "hidden": _sizes,
    "model": _text,
    "adversary": _text,
    "attack": _text,
    "epochs": whole,
    "lr": _real,
    "lr-grid": _rates,
    "optimizer": _text,
    "momentum": _real,
    "weight-decay": _real,
    "batch-size": _batch,
    "schedule": _text,
    "warmup": whole,
    "patience": whole,
    "norm": _name,
    "dropout": _real,
    "init": _text,
    "seeds": _seeds,
    "seed": whole,
    "split-seed": whole,
    "validation": _real,
    "test": _real,
    "scale": _flag,
    "no-scale": _not,
    "target": _text,
    "task": _text,
    "missing": _text,
    "baselines": _flag,
    "no-baselines": _not,
    "out": _text,
}
# every argument of a study has its word
assert {word.removeprefix("no-").replace("-", "_") for word in READERS} == {
    {"folder": "out"}.get(f.name, f.name) for f in fields(Study)
}
