"""Where a table comes from: memory, the package, the disk, or the builder.

Tables are data with a checksum, keyed by the formula's text, parameter values and format;
a damaged file is built anew. ``python -m plie.shipped`` builds those of the zoo.
"""

from __future__ import annotations

import functools
import hashlib
import io
import math
import os
import zipfile
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch

from plie.compiled.curve import NoTableError
from plie.compiled.evaluate import kernel, rounded
from plie.compiled.table import CORE, FORMAT, build
from plie.formula import Formula
from plie.reference import reference
from plie.store import write_atomically

if TYPE_CHECKING:
    from numpy.typing import NDArray

SHIPPED = Path(__file__).parent.parent / "zoo" / "tables.npz"
WORTH = 4096  # elements for which a new table is made
_DIGEST = hashlib.sha256().digest_size
PATIENCE = 10.0  # seconds; what takes longer is left to torch operations
_MOST_KNOWN = 4096
_DOUBTFUL = 2.0**-40  # of a value: so near to half the way float64 does not decide
_DIGITS = 120
_TIE = 1e-100  # of half the way: what is nearer counts as half the way
_SHORT = 4.0  # where a core that goes on by the formula ends too soon
_known: dict[tuple[str, str], Compiled | None] = {}


@dataclass(frozen=True, eq=False)
class Compiled:
    """A table ready to run.

    Attributes:
        packed: the bytes that the evaluator reads; the address of the first is `pointer`.
        worst: the largest error found in float32, in units in the last place.
    """

    packed: NDArray[np.uint8]
    worst: float
    pointer: int

    def cells(self, path: str) -> bool:
        """Whether an instruction set reads the grid.

        All do but AVX-512, which does so where the core ends next to 0 and the formula would go
        on, as native/avx512.cpp says.
        """
        core = self.packed[: CORE.itemsize].view(CORE)[0]
        if core["few"] or not core["grid"]["at"]:
            return False
        if path != "avx512":
            return True
        last = 2 ** int(core["levels"]) - 1
        reach = -core["tree"][(last + 1) // 2], core["tree"][last]
        pairs = zip(core["side"]["open"], reach, strict=True)
        return last > 0 and any(is_open and end < _SHORT for is_open, end in pairs)

    def form(self, path: str) -> str:
        """In words, what an instruction set reads."""
        core = self.packed[: CORE.itemsize].view(CORE)[0]
        if core["few"]:
            return f"{core['few']} pieces of degree {core['few_degree']}"
        if self.cells(path):
            return f"cubics on cells of 1/{1 / core['grid']['width']:.0f}"
        return f"{2 ** int(core['levels'] or 5)} segments of degree {core['degree']}"

    @property
    def open(self) -> bool:
        """Whether the formula itself is needed far out."""
        core = self.packed[: CORE.itemsize].view(CORE)[0]
        return bool(core["side"]["open"].any())


def key(spec: str, variables: str) -> str:
    """What a table is kept under."""
    return hashlib.sha256(f"{FORMAT}\n{spec}\n{variables}".encode()).hexdigest()[:32]


def compiled(
    spec: str, variables: str, elements: int = WORTH, patience: float = PATIENCE
) -> Compiled | None:
    """The table of a `Formula.spec` differentiated by ``variables``.

    Args:
        spec: the formula with its parameter values.
        variables: what it is differentiated by.
        elements: how many there are to compute; for fewer than `WORTH` no new table is made,
            so that to type a formula and look at it takes no time.
        patience: seconds that making one may take; what fails for less than `PATIENCE` may be
            tried again.

    Returns:
        The table; None if there is none, or none yet.
    """
    if (spec, variables) in _known:
        return _known[spec, variables]
    record = _from_package(spec, variables)
    if record is None:
        record = _new(spec, variables, patience) if elements >= WORTH else None
    if record is None:
        return None
    while len(_known) >= _MOST_KNOWN:
        _known.pop(next(iter(_known)), None)
    return _known.setdefault((spec, variables), _unpack(record))


def _new(spec: str, variables: str, patience: float) -> bytes | None:
    name = key(spec, variables)
    record = _from_disk(name)
    if record is None:
        try:
            record = make(spec, variables, patience)
        except TimeoutError:
            return b"" if patience >= PATIENCE else None
        _to_disk(name, record)
    return record


def make(spec: str, variables: str, seconds: float = math.inf) -> bytes:
    """Build a table's record: its error and its bytes, nothing more where it can have none.

    Raises:
        TimeoutError: if it takes longer than ``seconds``.
    """
    try:
        table = build(spec, variables, seconds)
    except NoTableError:
        return b""
    return np.float64(table.worst).tobytes() + table.packed.tobytes()


def _unpack(record: bytes) -> Compiled | None:
    if not record:
        return None
    worst = float(np.frombuffer(record[:8], np.float64)[0])
    # A line of the cache, so that no register load crosses two.
    space = np.empty(len(record) + 64, np.uint8)
    begin = -space.ctypes.data % 64
    packed = space[begin : begin + len(record) - 8]
    packed[:] = np.frombuffer(record[8:], np.uint8)
    return Compiled(packed, worst, packed.ctypes.data)


# --- the package ---------------------------------------------------------------------------


@functools.cache
def _package() -> zipfile.ZipFile | None:
    # In memory: an open file would share its position with forked processes.
    try:
        return zipfile.ZipFile(io.BytesIO(SHIPPED.read_bytes()))
    except (OSError, zipfile.BadZipFile):
        return None


def shipped_count() -> int:
    """How many tables ship with the package."""
    package = _package()
    return 0 if package is None else len(package.namelist())


@functools.lru_cache(maxsize=4096)
def _from_package(spec: str, variables: str) -> bytes | None:
    package = _package()
    try:  # it checks its own sums
        return None if package is None else package.read(key(spec, variables))
    except (KeyError, zipfile.BadZipFile, zlib.error):
        return None


# --- the disk ------------------------------------------------------------------------------


def folder() -> Path:
    """Where tables of other formulas are kept: ``PLIE_CACHE``, or the user's cache folder."""
    import platformdirs

    given = os.environ.get("PLIE_CACHE")
    return (Path(given) if given else Path(platformdirs.user_cache_dir("plie"))) / "tables"


def _from_disk(name: str) -> bytes | None:
    try:
        data = (folder() / name).read_bytes()
    except OSError:
        return None
    digest, record = data[:_DIGEST], data[_DIGEST:]
    return record if hashlib.sha256(record).digest() == digest else None


def _to_disk(name: str, record: bytes) -> None:
    data = hashlib.sha256(record).digest() + record
    try:
        folder().mkdir(parents=True, exist_ok=True)
        write_atomically(folder() / name, lambda path: path.write_bytes(data))
    except OSError:
        return  # a cache that cannot be written is only slower


# --- 16-bit floats -------------------------------------------------------------------------


@functools.lru_cache(maxsize=128)
def values16(spec: str, variables: str, dtype: torch.dtype) -> torch.Tensor:
    """All 65,536 results, correctly rounded, and one more element that is read but not used."""
    x = every16(dtype)
    wide = kernel(spec, variables)(x.double(), ())
    y = rounded(wide, dtype)
    _settle(spec, variables, x, wide, y)
    return torch.cat([y, y[:1]])


def _settle(
    spec: str, variables: str, x: torch.Tensor, wide: torch.Tensor, y: torch.Tensor
) -> None:
    """Round anew by exact values what in float64 is a tie: x² may decide it for an x of 2⁻⁶⁰."""
    formula, order = Formula.from_spec(spec), len(variables.split())
    outward = torch.where(wide > y.double(), math.inf, -math.inf).to(y.dtype)
    other = torch.nextafter(y, outward)
    # An infinite result stands for the next power of two.
    infinite = 2.0 ** math.frexp(torch.finfo(y.dtype).max)[1]
    near, beside = (t.double().clamp(-infinite, infinite) for t in (y, other))
    middle = (near + beside) / 2
    for i in ((wide - middle).abs() <= _DOUBTFUL * middle.abs()).nonzero().flatten().tolist():
        true = reference(formula, x[i].item(), _DIGITS, order)
        beyond = (true - middle[i].item()) / middle[i].item()
        if abs(beyond) > _TIE:
            stays = (y[i].abs() > other[i].abs()).item() == (beyond > 0)
        else:
            stays = y[i].view(torch.int16).item() % 2 == 0
        if not stays:
            y[i] = other[i]


@functools.lru_cache(maxsize=128)
def slopes16(spec: str, variables: str, dtype: torch.dtype) -> torch.Tensor:
    """The function at all 65,536 inputs in float32, to be multiplied by a gradient."""
    return kernel(spec, variables)(every16(dtype).float(), ())


@functools.cache
def every16(dtype: torch.dtype) -> torch.Tensor:
    """All 65,536 numbers of a 16-bit type, in the order of their bits."""
    numbers = torch.arange(-(2**15), 2**15, dtype=torch.int16, device="cpu")
    return numbers.roll(2**15).view(dtype)
