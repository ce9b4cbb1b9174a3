"""Of all tests, those in the docstrings too."""

from importlib.util import find_spec

# The only file that cannot be imported without an optional package.
collect_ignore = [] if find_spec("triton") else ["src/plie/compiled/gpu_kernels.py"]
