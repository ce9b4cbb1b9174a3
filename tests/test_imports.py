"""Imports are light, and run one way: nothing heavy loads before it is used, and nothing loads
what is made from it."""

import ast
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

import plie

HEAVY = ("torch", "sympy", "mpmath", "matplotlib", "pandas", "sklearn", "jinja2")
SOURCE = Path(plie.__file__).parent
PROJECT = SOURCE.parent.parent / "pyproject.toml"


@pytest.mark.parametrize("statement", ["import plie", "import plie.cli"])
def test_nothing_heavy_loads(statement):
    code = f"import sys; {statement}; print([m for m in {HEAVY!r} if m in sys.modules])"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == "[]"


def test_torch_is_all_that_a_function_needs():
    heavy = ("matplotlib", "pandas", "sklearn", "jinja2", "rich", "typer")
    code = (
        "import sys, torch, plie; plie.get('silu')(torch.zeros(3)); "
        f"print([m for m in {heavy!r} if m in sys.modules])"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == "[]"


def test_the_public_face_is_complete():
    """Every name of the stub is there, and so is every one that a printed command uses."""
    stub = (Path(plie.__file__).parent / "__init__.pyi").read_text("utf-8")
    names = re.findall(r"import \w+ as (\w+)", stub)
    assert sorted(names) == sorted(plie.__all__)
    for name in names:
        assert getattr(plie, name) is not None
    code = "import plie; plie.study.run, plie.plot.curves, plie.data.xor, plie.nn.ReLU"
    subprocess.run([sys.executable, "-c", code], check=True)


# --- one way ------------------------------------------------------------------------------------

# The rooms of the house: none imports one that stands below it, itself or by way of others.
# The compiled form and the facts stand above the record, whose methods they are.
ROOMS = (
    *("errors", "atoms", "formula", "compiled", "facts", "modules", "vector", "activation", "zoo"),
    *("nn", "models", "data", "recipe", "attack", "training", "study", "plot", "cli"),
)
# An object shows itself with all that can draw it; a file is written by whom it is read for.
# Both happen inside functions, long after everything is loaded.
UPWARD = {("activation", "display"), ("shipped", "zoo"), ("shipped", "facts")}


def modules():
    """Every module of the package by its name without ``plie.``; the package itself is ""."""
    for path in sorted(SOURCE.rglob("*.py")):
        parts = path.relative_to(SOURCE).with_suffix("").parts
        yield ".".join(parts[:-1] if parts[-1] == "__init__" else parts), path


def imported(tree, inside_functions):
    """What the code imports, as dotted names; not what only type checkers see."""
    waiting = list(tree.body)
    while waiting:
        node = waiting.pop()
        if isinstance(node, ast.If) and getattr(node.test, "id", "") == "TYPE_CHECKING":
            waiting += node.orelse
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "imports are absolute"
            yield from (f"{node.module}.{alias.name}" for alias in node.names)
        elif isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif inside_functions or not isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            waiting += list(ast.iter_child_nodes(node))


def graph(inside_functions):
    """Module → modules of the package that it imports."""
    paths = dict(modules())
    edges = {}
    for name, path in paths.items():
        tree = ast.parse(path.read_text("utf-8"))
        dotted = [d.split(".")[1:] for d in imported(tree, inside_functions) if ours(d)]
        # `plie.zoo.get` is the module zoo, `plie.zoo` as well: the longest that is a file.
        found = {next(m for m in prefixes(d) if m in paths) for d in dotted}
        edges[name] = {m for m in found if m and (name, m) not in UPWARD}
    return edges


def ours(dotted):
    return dotted.split(".")[0] == "plie"


def prefixes(parts):
    return [".".join(parts[:n]) for n in range(len(parts), -1, -1)]


def reached(edges, start):
    seen, waiting = set(), [start]
    while waiting:
        new = edges[waiting.pop()] - seen
        seen |= new
        waiting += new
    return seen


def test_no_import_comes_back():
    edges = graph(inside_functions=True)
    assert len(edges) > 40
    assert "formula" in reached(edges, "cli"), "the graph is not what it should be"
    assert [name for name in edges if name in reached(edges, name)] == []


def test_rooms_import_only_from_rooms_above():
    edges = graph(inside_functions=True)
    rooms = {name.split(".")[0] for name in edges}
    assert set(ROOMS) <= rooms
    for position, room in enumerate(ROOMS):
        for start in (m for m in edges if m.split(".")[0] == room):
            above = {m.split(".")[0] for m in reached(edges, start)}
            assert not above & set(ROOMS[position + 1 :]), room


def test_the_command_starts_where_ctrl_c_is_expected():
    scripts = tomllib.loads(PROJECT.read_text("utf-8"))["project"]["scripts"]
    assert scripts == {"plie": "plie.entry:main"}


# --- what must be installed ---------------------------------------------------------------------

DISTRIBUTIONS = {
    "sklearn": "scikit-learn",
    "lazy_loader": "lazy-loader",
    "yaml": "pyyaml",
    "PIL": "pillow",
}


def test_dependencies_are_those_that_are_imported():
    project = tomllib.loads(PROJECT.read_text("utf-8"))["project"]
    required = {re.split(r"[<>=\[ ]", text)[0] for text in project["dependencies"]}
    roots = set()
    for _, path in modules():
        roots |= {d.split(".")[0] for d in imported(ast.parse(path.read_text("utf-8")), True)}
    foreign = roots - set(sys.stdlib_module_names) - {"plie"}
    used = {DISTRIBUTIONS.get(name, name) for name in foreign}
    # Extras, each for one thing: GPUs, clusters, several GPUs, others' attacks, benchmarks' rivals,
    # libraries that the zoo is registered in, the playground's server.
    extras = {"triton", "ray", "accelerate", "torchattacks", "jax", "foolbox", "art"}
    extras |= {"transformers", "timm", "keras", "starlette", "uvicorn"}
    assert used - extras == required
