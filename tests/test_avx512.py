"""AVX-512 on machines that have none: its intrinsics written out lane by lane, the same tests.

It needs ``g++``, and is skipped without it.
"""

import os
import platform
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from plie.compiled import native

COMPILER = "g++"
HERE = Path(__file__).parent
SOURCES = HERE.parent / "native"
# As native/CMakeLists.txt has them, but that little of two files runs, and AVX-512 is written out.
AVX2 = ["-mavx2", "-mfma", "-mf16c"]
FLAGS = {"plie": [], "program": [], "plain": ["-O0"], "avx2": ["-O0", *AVX2]}
FLAGS["avx512"] = [*AVX2, "-include", str(HERE / "avx512.h")]
COMMON = ["-std=c++17", "-O1", "-ffp-contract=off", "-fno-math-errno", "-fno-trapping-math"]
COMMON += ["-Wno-psabi", "-Wno-ignored-attributes", "-fPIC", "-DPLIE_X86"]
COMMON += ["-D__builtin_cpu_supports(feature)=1"]  # whatever it is asked for

RUN = """
import sys
import plie.compiled, pytest
plie.compiled.__path__.insert(0, sys.argv[1])
from plie.compiled import native
assert native.native().path == "avx512"
sys.exit(pytest.main(sys.argv[2:]))
"""

if platform.machine() not in ("x86_64", "AMD64") or not shutil.which(COMPILER):
    pytest.skip(f"no {COMPILER} for x86 here", allow_module_level=True)
if native.native() is None:
    pytest.skip("no compiled evaluator here", allow_module_level=True)
if native.native().path != "avx2":
    pytest.skip(f"the best of this machine is {native.native().path}", allow_module_level=True)


@pytest.fixture(scope="module")
def library(tmp_path_factory):
    """The folder of a library whose best path is AVX-512."""
    made = tmp_path_factory.mktemp("avx512")
    running = [
        subprocess.Popen(
            [COMPILER, *COMMON, *flags, "-c", SOURCES / f"{name}.cpp", "-o", made / f"{name}.o"]
        )
        for name, flags in FLAGS.items()
    ]
    assert [each.wait(500) for each in running] == [0] * len(running)
    objects = [made / f"{name}.o" for name in FLAGS]
    subprocess.run([COMPILER, "-shared", *objects, "-o", made / native._LIBRARY], check=True)
    return made


def test_everything_that_is_said_of_each_instruction_set_holds(library):
    environment = {k: v for k, v in os.environ.items() if not k.startswith("PYTEST_")}
    tests = [str(HERE / f"test_{name}.py") for name in ("native", "family", "many")]
    chosen = ["-k", "avx512 or instruction_set or (large_tensors and alone)"]
    done = subprocess.run(
        [sys.executable, "-c", RUN, library, *tests, *chosen, "-q", "-p", "no:cacheprovider"],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=500,
    )
    assert done.returncode == 0, done.stdout[-5000:] + done.stderr[-2000:]
