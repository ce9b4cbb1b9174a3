"""Files that are whole or absent, records read back from them, and names for settings."""

from __future__ import annotations

import dataclasses
import functools
import hashlib
import json
import os
import threading
import types
import typing
from typing import TYPE_CHECKING, Any

from plie.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


def write_atomically(path: Path, write: Callable[[Path], object]) -> None:
    """Write beside the file and rename: an interruption leaves the old file or the new one.

    Raises:
        OSError: naming ``path``, not the file beside it, where it cannot be written.
    """
    beside = path.with_name(f".{path.name}.{os.getpid()}-{threading.get_ident()}")
    try:
        write(beside)
        beside.replace(path)
    except OSError as error:
        raise OSError(error.errno, error.strerror or str(error), str(path)) from error
    finally:
        beside.unlink(missing_ok=True)


def check_folder(path: Path) -> None:
    """Raises `InputError` where a folder is wanted and a file is in its place."""
    if path.exists() and not path.is_dir():
        raise InputError(f"cannot write into '{path}': it is a file, not a folder")


def short_hash(value: Any) -> str:
    """Eight hexadecimal digits that stand for a JSON value."""
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()[:8]


def slug(text: str) -> str:
    """The text as a file name.

    >>> slug("MLP, softplus (beta=10)")
    'mlp-softplus-beta-10'
    """
    words = "".join(c if c.isascii() and c.isalnum() else " " for c in text.lower()).split()
    return "-".join(words)[:60] or "data"


def decode(kind: Any, value: Any) -> Any:
    """What `dataclasses.asdict` and JSON made of a value of type ``kind``, put together again.

    Raises:
        TypeError, KeyError, ValueError: for anything else, so that no file is trusted in vain.

    >>> decode(tuple[float, ...], [1.0, 2.0])
    (1.0, 2.0)
    """
    if dataclasses.is_dataclass(kind):
        make: Any = kind
        return make(**{name: decode(each, value[name]) for name, each in _hints(make)})
    origin, inner = typing.get_origin(kind), typing.get_args(kind)
    if origin in (types.UnionType, typing.Union):
        return None if value is None else decode(inner[0], value)
    if origin in (tuple, list):
        _require(list, value)
        same = origin is list or inner[-1] is Ellipsis
        each = [inner[0]] * len(value) if same else inner
        return origin(decode(t, v) for t, v in zip(each, value, strict=True))
    _require(kind, value)
    return value


def _require(kind: type, value: Any) -> None:
    """A truth value is no number, and a whole number may stand for any."""
    allowed = (int, float) if kind is float else (kind,)
    if type(value) not in allowed:
        raise TypeError(f"{value!r} is not of type {kind.__name__}")


@functools.cache
def _hints(kind: Any) -> tuple[tuple[str, Any], ...]:
    return tuple(typing.get_type_hints(kind).items())
