"""The public face: complete, sorted, documented, every example run."""

import ast
import doctest
import inspect
import re
from pathlib import Path

import pytest

import plie
from plie import Activation, zoo

STUB = Path(plie.__file__).with_suffix(".pyi")
LAYERS = dir(plie.nn)


def documented(thing):
    """The docstring, which must say something of every argument."""
    text = inspect.getdoc(thing) or ""
    parameters = [p for p in inspect.signature(thing).parameters if p not in ("self", "args")]
    missing = [p for p in parameters if not re.search(rf"\b{p}\b", text)]
    assert not missing, f"{thing.__name__} says nothing of {missing}"
    return text


PROMISED = {"Activation", "FormulaError", "MLP", "data", "define", "get", "names", "nn"}


def test_all_is_sorted_and_what_the_stub_says():
    assert plie.__all__ == sorted(plie.__all__) == dir(plie)
    assert set(plie.__all__) >= PROMISED
    body = ast.parse(STUB.read_text("utf-8")).body
    imports = [node for node in body if isinstance(node, ast.ImportFrom)]
    names = [alias.asname for node in imports for alias in node.names]
    assert sorted(names) == plie.__all__
    for node in imports:
        for alias in node.names:
            assert alias.name == alias.asname, "a stub exports what it names twice"


def test_a_star_imports_all():
    space = {}
    exec("from plie import *", space)
    assert set(plie.__all__) <= set(space)


def test_an_unknown_name_is_an_attribute_error():
    assert not hasattr(plie, "nothing_of_that_name")
    with pytest.raises(ImportError):
        exec("from plie import nothing_of_that_name")


@pytest.mark.parametrize("name", plie.__all__)
def test_public_names_are_documented(name):
    thing = getattr(plie, name)
    assert inspect.getdoc(thing)
    if inspect.ismodule(thing):
        documents = [thing.__doc__, *(f.__doc__ for f in functions(thing))]
        assert any(">>>" in document for document in documents), "no example"
        return
    assert ">>>" in inspect.getdoc(thing), "no example"
    assert thing.__module__.startswith("plie.")
    if not issubclass_of_error(thing):
        documented(thing)


def issubclass_of_error(thing):
    return inspect.isclass(thing) and issubclass(thing, plie.PlieError)


def public(members):
    return [(name, thing) for name, thing in members if not name.startswith("_")]


@pytest.mark.parametrize("owner", [Activation, plie.Parameter, plie.Source, plie.MLP, plie.Facts])
def test_public_methods_are_documented(owner):
    own = public(vars(owner).items())
    for name, thing in own:
        if inspect.isfunction(thing) and name != "forward":
            documented(thing)
        elif isinstance(thing, property):
            assert thing.__doc__, name
    assert own


def functions(module):
    own = [f for _, f in public(vars(module).items()) if inspect.isfunction(f)]
    return [f for f in own if f.__module__ == module.__name__]


@pytest.mark.parametrize("module", [plie.data, zoo], ids=lambda m: m.__name__)
def test_functions_of_public_modules_are_documented(module):
    for function in functions(module):
        documented(function)


# --- layers -------------------------------------------------------------------------------------


def test_there_is_one_layer_per_row():
    assert sorted(row.title for row in zoo.rows().values()) == LAYERS
    assert not hasattr(plie.nn, "NoLayer")


@pytest.mark.parametrize("title", LAYERS)
def test_layers_are_documented_and_their_example_runs(title):
    layer = getattr(plie.nn, title)
    assert layer is getattr(plie.nn, title)
    assert (layer.__name__, layer.__qualname__, layer.__module__) == (title, title, "plie.nn")
    text = documented(layer)
    if inspect.signature(layer).parameters:
        assert "\nArgs:\n" in text
    example = doctest.DocTestParser().get_doctest(text, {}, title, None, None)
    assert example.examples
    assert doctest.DocTestRunner().run(example).failed == 0
