"""NEON on machines that have none: compiled across, run by an emulator, the same bits as plain C++.

It needs ``aarch64-linux-gnu-g++`` and ``qemu-aarch64-static`` (Debian: g++-aarch64-linux-gnu,
qemu-user-static), and is skipped without them.
"""

import platform
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest
import torch

import plie
from plie.compiled import native, table, tables

COMPILER, EMULATOR = "aarch64-linux-gnu-g++", "qemu-aarch64-static"
HERE = Path(__file__).parent
SOURCES = HERE.parent / "native"

if platform.machine() in ("aarch64", "arm64"):
    pytest.skip("this machine has NEON itself", allow_module_level=True)
if not (shutil.which(COMPILER) and shutil.which(EMULATOR)):
    pytest.skip(f"no {COMPILER} and {EMULATOR}", allow_module_level=True)
if native.native() is None:
    pytest.skip("no compiled evaluator here", allow_module_level=True)

# Pieces, every kind of grid, cells and trees, tails of every kind, errors carried along, waves.
FUNCTIONS = ["relu", "squish", "silu", "lisht", "hardswish", "hard_elish", "erf", "gelu"]
FUNCTIONS += ["tanhshrink", "softplus", "squareplus", "siren", "gabor", "sin", "rational"]
FUNCTIONS += ["xielu", "sine_relu", "arctan"]  # a core without end, one end open, a power of x


@pytest.fixture(scope="module")
def program(tmp_path_factory):
    made = tmp_path_factory.mktemp("neon") / "neon"
    options = ["-std=c++17", "-ffp-contract=off", "-DPLIE_NEON", f"-I{SOURCES}"]
    objects = []
    for name in ("plie", "program", "plain", "neon"):
        objects.append(made.with_name(f"{name}.o"))
        level = "-O0" if name == "plain" else "-O1"  # it is linked, and does not run
        command = [COMPILER, *options, level, "-c", SOURCES / f"{name}.cpp", "-o", objects[-1]]
        subprocess.run(command, check=True, timeout=500)
    command = [COMPILER, *options, "-O1", "-static", HERE / "neon.cpp", *objects, "-o", made]
    subprocess.run(command, check=True, timeout=500)
    return made


@pytest.mark.parametrize("variables", ["", "x"])
@pytest.mark.parametrize("name", FUNCTIONS)
def test_neon_has_the_bits_of_plain(name, variables, program, tmp_path):
    evaluator = native.native()
    best = evaluator.path
    draw = torch.Generator().manual_seed(1)
    x = torch.cat([torch.randn(2000, generator=draw) * k for k in (1, 4, 100)])
    x = torch.cat([x, torch.arange(-20, 20, 0.25), torch.tensor([-0.0, 1e-40, 1e38, -1e38])])
    x = torch.cat([x, torch.tensor([float("inf"), -float("inf"), float("nan")])])
    x.numpy().tofile(tmp_path / "x")
    whole = tables.compiled(plie.get(name)._spec, variables).packed
    core_only = whole.copy()
    head = core_only[: table.CORE.itemsize].view(table.CORE)
    head["grid"]["at"], head["few"] = 0, 0
    evaluator.use("plain")
    try:
        for packed in (whole, core_only):
            made = tables._unpack(np.float64(0).tobytes() + packed.tobytes())
            packed.tofile(tmp_path / "table")
            files = (str(tmp_path / "table"), str(tmp_path / "x"))
            got = subprocess.run(
                [EMULATOR, str(program), "neon", *files],
                check=True,
                capture_output=True,
                timeout=100,
            ).stdout
            there = np.frombuffer(got, np.float32).reshape(2, -1)
            for found, grad in zip(there, (None, x.data_ptr()), strict=True):
                y = torch.empty_like(x)
                evaluator.run(made.pointer, x.data_ptr(), grad, y.data_ptr(), len(x), 1)
                assert np.array_equal(bits(found), bits(y.numpy()))
    finally:
        evaluator.use(best)


def bits(x):
    """The bits, with one and the same for every NaN."""
    return np.where(np.isnan(x), 0x7FC0, x.view(np.int32))
