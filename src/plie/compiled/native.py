"""The compiled evaluator: a small C++ library called on raw pointers.

It is built with the package, needs neither Python's nor torch's ABI, and runs its threads
on the OpenMP runtime that torch has loaded: a second one would ruin both. Where it is
missing, or ``PLIE_NATIVE=0`` is set, everything works through torch operations.
"""

from __future__ import annotations

import ctypes
import functools
import os
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

import plie.compiled
from plie.compiled.family import MOST_TERMS
from plie.compiled.table import CORE, FORMAT
from plie.compiled.wide import WIDE

_LIBRARY = {"win32": "_native.dll", "darwin": "_native.so"}.get(sys.platform, "_native.so")
_MISSING = 2  # the status of a run that left some results to the formula
PATHS = ("avx512", "avx2", "neon", "plain")

_pointer, _count = ctypes.c_void_p, ctypes.c_int64


FRESH = 1 << 23  # elements from which fresh memory is worth a word with the kernel
BLOCK = 1024  # elements of a family computed at once, as in native/entry.h


class FamilyTerm(ctypes.Structure):
    """As native/entry.h has it."""

    _fields_ = (
        *((name, _pointer) for name in ("value", "derivative")),
        *((name, _count) for name in ("power", "wave")),
    )


class PackedFamily(ctypes.Structure):
    """As native/entry.h has it."""

    _fields_ = (
        ("terms", _count),
        ("channels", _count),
        ("term", FamilyTerm * MOST_TERMS),
        ("numbers", _pointer),
    )


@dataclass(frozen=True)
class Native:
    """The loaded library.

    Attributes:
        library: its functions.
        run: the one that does most of the work, kept at hand.
        few: the same for few elements, on this thread, with fewer arguments.
        gather: the one for 16-bit floats.
        threads: whose threads it uses, in words.
    """

    library: ctypes.CDLL
    run: Callable[..., int]
    few: Callable[..., int]
    gather: Callable[..., None]
    threads: str

    @property
    def path(self) -> str:
        """The instruction set in use: one of `PATHS`."""
        name: bytes = self.library.plie_path()
        return name.decode()

    def use(self, path: str) -> str:
        """Switch to an instruction set; returns the one in use, the best if it is not there."""
        name: bytes = self.library.plie_set_path(path.encode())
        return name.decode()


@functools.cache
def status() -> tuple[Native | None, str]:
    """The library, or None, and why."""
    if os.environ.get("PLIE_NATIVE", "1") == "0":
        return None, "PLIE_NATIVE=0 is set"
    found = [f for folder in plie.compiled.__path__ if (f := Path(folder) / _LIBRARY).exists()]
    if not found:
        return None, f"{_LIBRARY} was not built when Plié was installed (it takes a C++ compiler)"
    try:
        library = ctypes.CDLL(str(found[0]))
        _declare(library)
    except (OSError, AttributeError) as error:
        return None, f"{found[0].name} cannot be loaded: {error}"
    if hasattr(os, "register_at_fork"):
        # A child has the runtime's memory but none of its threads, and would wait for them.
        os.register_at_fork(after_in_child=lambda: library.plie_set_threads(None, None, None))
    # Called with the interpreter held: to let it go and take it back costs as much as the work.
    few = ctypes.PyDLL(str(found[0])).plie_few
    few.argtypes = [_pointer] * 3 + [_count]
    return Native(
        library, library.plie_run, few, library.plie_gather, _share_threads(library)
    ), "built with the package"


def native() -> Native | None:
    """The library, or None where everything goes through torch operations."""
    return status()[0]


def like(x: Tensor) -> Tensor:
    """A new tensor to write into; a large one in huge pages."""
    fresh = torch.empty_like(x)
    if fresh.numel() >= FRESH:
        hug(fresh)
    return fresh


def hug(fresh: Tensor) -> None:
    """Ask for huge pages for memory not written to yet, which cost far fewer page faults."""
    library = native()
    assert library is not None
    library.library.plie_fresh(fresh.data_ptr(), fresh.nbytes)


def _declare(library: ctypes.CDLL) -> None:
    library.plie_path.restype = library.plie_set_path.restype = ctypes.c_char_p
    library.plie_set_path.argtypes = [ctypes.c_char_p]
    library.plie_table_bytes.restype = _count
    library.plie_table_bytes.argtypes = [_count]
    size = CORE.itemsize + WIDE.itemsize
    if library.plie_format() != FORMAT or library.plie_table_bytes(1) != size:
        raise OSError("it was built for tables of another format")
    library.plie_family_bytes.restype = library.plie_block.restype = _count
    if (library.plie_family_bytes(), library.plie_block()) != (ctypes.sizeof(PackedFamily), BLOCK):
        raise OSError("it was built for families of another format")
    library.plie_set_threads.argtypes = [_pointer] * 3
    library.plie_run.argtypes = [_pointer] * 4 + [_count, ctypes.c_int]
    library.plie_missing.restype = _count
    library.plie_missing.argtypes = [_pointer] * 2 + [_count, _pointer, _count, ctypes.c_int]
    library.plie_gather.restype = None
    library.plie_gather.argtypes = [_pointer] * 3 + [_count, ctypes.c_int]
    library.plie_gather_backward.argtypes = [_pointer] * 4 + [_count, ctypes.c_int, ctypes.c_int]
    library.plie_family.argtypes = [_pointer] * 6 + [_count] * 2 + [ctypes.c_int]
    library.plie_fresh.argtypes = [_pointer, _count]


def _share_threads(library: ctypes.CDLL) -> str:
    """Hand over torch's OpenMP runtime; without one the library uses a single thread."""
    for file in _openmp_files():
        try:
            runtime = ctypes.CDLL(str(file))
            parts = runtime.GOMP_parallel, runtime.omp_get_thread_num, runtime.omp_get_num_threads
        except (OSError, AttributeError):
            continue
        library.plie_set_threads(*(ctypes.cast(part, _pointer) for part in parts))
        return f"torch's own ({file.name})"
    return "one thread: torch's OpenMP runtime was not found"


def _openmp_files() -> list[Path]:
    """OpenMP runtimes in this process, torch's own folder first."""
    folder = Path(torch.__file__).parent / "lib"
    maps = Path("/proc/self/maps")
    names = ("libgomp", "libiomp5", "libomp")
    loaded: list[Path] = []
    if maps.exists():
        lines = maps.read_text().splitlines()
        mapped = {Path(line[line.index("/") :]) for line in lines if "/" in line}
        loaded = [file for file in sorted(mapped) if file.name.startswith(names)]
    beside = [f for f in sorted(folder.glob("lib*omp*")) if f.name.startswith(names)]
    return sorted(loaded, key=lambda f: f.parent != folder) or beside
