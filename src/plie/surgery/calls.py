"""Calls of functions such as ``F.relu``: found in a module's source, replaced as it runs.

A module whose calls are replaced gets a class of its own, of the same name, derived from the one
it had. Its forward runs under a function mode that sends each such call to a layer which is a
submodule: parameters, state and copies are those of any module, and a compiler sees through it.
What a submodule computes in its own forward is its own affair, and left alone.
"""

from __future__ import annotations

import ast
import builtins
import functools
import inspect
import textwrap
import threading
import types
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from torch.overrides import TorchFunctionMode

from plie.recognise import IN_PLACE, METHODS, name_of_call
from plie.units import Sighting, run, watching

if TYPE_CHECKING:
    from torch import nn

PREFIX = "swapped_"


class _Depth(threading.local):
    """How many submodules deep this thread is within modules whose calls are replaced."""

    def __init__(self) -> None:
        self.now = 0


_depth = _Depth()


def _enter(module: nn.Module, args: Any) -> None:  # noqa: ARG001 - a hook's arguments
    _depth.now += 1


def _leave(module: nn.Module, args: Any, output: Any) -> None:  # noqa: ARG001
    _depth.now -= 1


class Substitution(TorchFunctionMode):
    """Sends the calls of one module's own forward to that module's layers."""

    def __init__(self, owner: nn.Module) -> None:
        super().__init__()
        self.owner = owner
        self.depth = _depth.now

    def __torch_function__(
        self, func: Callable[..., Any], types: Any, args: Any = (), kwargs: Any = None
    ) -> Any:
        """The call, by a layer of the owner where it has one for it."""
        kwargs = kwargs or {}
        if _depth.now == self.depth:
            name = name_of_call(func, args, kwargs)
            if name is not None and hasattr(self.owner, PREFIX + name):
                x = args[0] if args else kwargs["input"]
                layer = getattr(self.owner, PREFIX + name)
                if func in IN_PLACE or kwargs.get("inplace"):
                    return x.copy_(layer(x.clone()))
                return layer(x)
        return func(*args, **kwargs)


class Substituted:
    """What a module's class is derived from, beside the class it had."""

    def __reduce_ex__(self, protocol: Any) -> Any:
        # The class is made at run time, so a copy or a pickle makes it again.
        return _blank, (type(self).__mro__[2],), self.__dict__


_classes: dict[type, type] = {}


def _class(base: type) -> type:
    """The derived class: one for each base, of the base's name."""
    if base not in _classes:
        # Whoever asks for the forward's arguments, as torch.fx does, is told those it had.
        @functools.wraps(base.forward)  # type: ignore[attr-defined]
        def forward(self: nn.Module, *args: Any, **kwargs: Any) -> Any:
            with Substitution(self):
                return base.forward(self, *args, **kwargs)  # type: ignore[attr-defined]

        body = {
            "__module__": base.__module__,
            "__qualname__": base.__qualname__,
            "__doc__": base.__doc__,
            "forward": forward,
        }
        _classes[base] = types.new_class(
            base.__name__, (Substituted, base), exec_body=lambda space: space.update(body)
        )
    return _classes[base]


def _blank(base: type) -> Any:
    made = _class(base)
    return made.__new__(made)  # type: ignore[call-overload]


def substitute(module: nn.Module, name: str, layer: nn.Module) -> None:
    """Send every call of the row ``name`` in the module's own forward to ``layer``.

    Args:
        module: changed in place: it gets the layer as ``swapped_`` and the name.
        name: of a row, as `name_of_call` gives it.
        layer: what computes instead.

    >>> import torch
    >>> from torch import nn
    >>> class Block(nn.Module):
    ...     def forward(self, x):
    ...         return torch.relu(x)
    >>> block = Block()
    >>> substitute(block, "relu", nn.Tanh())
    >>> float(block(torch.tensor(-100.0)))
    -1.0
    """
    module.add_module(PREFIX + name, layer)
    if not isinstance(module, Substituted):
        module.__class__ = _class(type(module))
    guard(module)


def guard(module: nn.Module) -> None:
    """Leave alone what the submodules call in their own forwards; to be done for new ones."""
    for child in module.children():
        if _enter not in child._forward_pre_hooks.values():
            child.register_forward_pre_hook(_enter)
            child.register_forward_hook(_leave, always_call=True)


# --- found in the source ------------------------------------------------------------------------


def calls(module: nn.Module) -> dict[str, list[int]]:
    """The activations that the module's forward calls by itself, with the lines of its file.

    Read from the source of forward, of the methods that it calls on itself, and of the functions
    it calls of the same package. `observed` sees other functions, too.

    Returns:
        names of rows, each with the line of every call; empty for classes of torch's own, and
        where there is no source.
    """
    return _calls(type(module))  # type: ignore[arg-type]


@functools.cache
def _calls(kind: type) -> dict[str, list[int]]:
    found: dict[str, list[int]] = {}
    waiting = [f for f in [_function(kind, "forward")] if _belongs(f, kind)]
    seen = set(waiting)
    while waiting:
        tree, scope, first = _source(waiting.pop())
        for node in ast.walk(tree):
            if isinstance(node, ast.Call) and (name := _name_of(node, scope)):
                found.setdefault(name, []).append(first + node.lineno - 1)
            for used in _used(node, kind, scope):
                if _belongs(used, kind) and used not in seen:
                    waiting.append(used)
                    seen.add(used)
    return found


def _used(node: ast.AST, kind: type, scope: dict[str, Any]) -> list[Any]:
    """What else is looked into: the object's own methods, its parents', functions by name."""
    if isinstance(node, ast.Attribute) and _is_self(node.value):
        return [_function(kind, node.attr)]
    if isinstance(node, ast.Attribute) and _is_super(node.value):
        return [_function(base, node.attr) for base in kind.__mro__[1:]]
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
        return [inspect.unwrap(scope.get(node.func.id))]  # type: ignore[arg-type]
    return []


def _is_super(node: ast.expr) -> bool:
    called = isinstance(node, ast.Call) and isinstance(node.func, ast.Name)
    return called and node.func.id == "super"  # type: ignore[attr-defined]


def readable(module: nn.Module) -> bool:
    """Whether the source of the module's forward can be read, or is torch's own."""
    forward = _function(type(module), "forward")
    return not _belongs(forward, type(module)) or bool(_source(forward)[1])


def _function(kind: type, name: str) -> Any:
    return inspect.unwrap(getattr(kind, name, None))  # type: ignore[arg-type]


def _belongs(function: Any, kind: type) -> bool:
    """Whether it is a function written in Python by whoever wrote the class, not by torch."""
    if not inspect.isfunction(function) or function.__module__ is None:
        return False
    root = function.__module__.partition(".")[0]
    return root not in ("torch", "plie") and any(
        root == base.__module__.partition(".")[0] for base in kind.__mro__
    )


@functools.cache
def _source(function: Any) -> tuple[ast.AST, dict[str, Any], int]:
    """Its syntax tree, the names it sees, which are none where there is no source; its line."""
    if not inspect.isfunction(function):
        return ast.Module([], []), {}, 0
    try:
        lines, first = inspect.getsourcelines(function)
        tree = ast.parse(textwrap.dedent("".join(lines)))
    except (OSError, SyntaxError):
        return ast.Module([], []), {}, 0
    scope = {**vars(builtins), **function.__globals__}
    return tree, {**scope, **inspect.getclosurevars(function).nonlocals}, first


def _name_of(node: ast.Call, scope: dict[str, Any]) -> str | None:
    """The row of one call, where the source tells it."""
    called, is_method = _called(node.func, scope)
    if called is None:
        return None
    args = [None] * is_method + [_constant(each) for each in node.args]
    kwargs = {each.arg: _constant(each.value) for each in node.keywords if each.arg}
    try:
        return name_of_call(called, args, kwargs)
    except TypeError:  # what cannot be hashed is no function of torch's
        return None


def _called(node: ast.expr, scope: dict[str, Any]) -> tuple[Any, bool]:
    """The function that is called, and whether it is as a method of a tensor."""
    if isinstance(node, ast.Name):
        return scope.get(node.id), False
    if not isinstance(node, ast.Attribute):
        return None, False
    owner, _ = _called(node.value, scope)
    if owner is not None:
        return getattr(owner, node.attr, None), False
    return (None, False) if _is_self(node.value) else (METHODS.get(node.attr), True)


def _is_self(node: ast.expr) -> bool:
    return isinstance(node, ast.Name) and node.id == "self"


def _constant(node: ast.expr) -> Any:
    """A number or text; anything else is something of its own, equal to nothing."""
    try:
        return ast.literal_eval(node)
    except (ValueError, TypeError, SyntaxError):
        return object()


def observed(model: nn.Module, inputs: Any) -> dict[str, set[str]]:
    """The activations that each module calls by itself as the model runs on one batch.

    Args:
        model: run once, in evaluation mode, without gradients.
        inputs: a batch, as `plie.units.run` takes it.

    Returns:
        the rows' names by the module's name; calls in functions that it calls count, too.
    """
    found: dict[str, set[str]] = {}

    def see(seen: Sighting) -> None:
        if seen.call:
            found.setdefault(seen.owner, set()).add(seen.activation.name)

    with watching(model, see):
        run(model, inputs)
    return found
