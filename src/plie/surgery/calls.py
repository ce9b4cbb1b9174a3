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
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from torch.overrides import TorchFunctionMode

from plie.batches import naming, run
from plie.recognise import IN_PLACE, METHODS, NAMES, name_of_call
from plie.units import Sighting, watching

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
        return _blank, (type(self).__mro__[2],), self.__getstate__()


_classes: dict[type, type] = {}


def _class(base: type) -> type:
    """The derived class: one for each base, of the base's name.

    Not the forward alone runs under the mode, but every method that it calls on itself: gradient
    checkpoints run those again by themselves.
    """
    if base not in _classes:
        body = {
            "__module__": base.__module__,
            "__qualname__": base.__qualname__,
            "__doc__": base.__doc__,
            **{name: _under_the_mode(getattr(base, name)) for name in _scan(base).methods},
        }
        _classes[base] = types.new_class(
            base.__name__, (Substituted, base), exec_body=lambda space: space.update(body)
        )
    return _classes[base]


def _under_the_mode(function: Callable[..., Any]) -> Callable[..., Any]:
    # Whoever asks for a forward's arguments, as torch.fx does, is told those it had.
    @functools.wraps(function)
    def method(self: nn.Module, *args: Any, **kwargs: Any) -> Any:
        with Substitution(self):
            return function(self, *args, **kwargs)

    return method


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


def has_hooks(module: nn.Module) -> bool:
    """Whether somebody else put hooks on a module.

    >>> from torch import nn
    >>> has_hooks(nn.Identity())
    False
    """
    kinds = ("_forward_pre_hooks", "_forward_hooks", "_backward_pre_hooks", "_backward_hooks")
    hooks = [hook for kind in kinds for hook in getattr(module, kind).values()]
    return any(hook not in (_enter, _leave) for hook in hooks)


# --- found in the source ------------------------------------------------------------------------


def calls(module: nn.Module) -> dict[str, list[int]]:
    """The activations that the module's forward calls by itself, with the lines of its file.

    Read from the source of forward, of the methods that it calls on itself, and of the functions
    it calls of the same package. `observed` sees other functions, too.

    Returns:
        names of rows, each with the line of every call; empty for classes of torch's own, and
        where there is no source.
    """
    return _scan(type(module)).lines


def reruns(module: nn.Module) -> bool:
    """Whether a gradient checkpoint may run calls again that are in no method of the module's."""
    return _scan(type(module)).reruns


@dataclass(eq=False)
class _Scan:
    """What the source of a class shows.

    Attributes:
        lines: of the calls, by the row's name.
        methods: forward, and those that it calls on its object.
        reruns: as in `reruns`.
    """

    lines: dict[str, list[int]] = field(default_factory=dict)
    methods: set[str] = field(default_factory=lambda: {"forward"})
    reruns: bool = False


_scans: dict[type, _Scan] = {}


def _scan(kind: type) -> _Scan:
    if kind not in _scans:
        _scans[kind] = _scanned(kind)
    return _scans[kind]


def _scanned(kind: type) -> _Scan:
    found = _Scan()
    waiting = [f for f in [_function(kind, "forward")] if _belongs(f, kind)]
    seen = set(waiting)
    while waiting:
        text = _source(waiting.pop())
        for node in ast.walk(text.tree):
            if isinstance(node, ast.Call) and (name := _name_of(node, text)):
                found.lines.setdefault(name, []).append(text.line + node.lineno - 1)
            found.reruns |= _checkpoints(node, text)
            for used in _used(node, kind, text):
                if not _belongs(used, kind):
                    continue
                if isinstance(node, ast.Attribute) and _is_method(kind, node.attr):
                    found.methods.add(node.attr)
                if used not in seen:
                    waiting.append(used)
                    seen.add(used)
    return found


def _is_method(kind: type, name: str) -> bool:
    return inspect.isfunction(inspect.getattr_static(kind, name, None))


def _checkpoints(node: ast.AST, text: _Text) -> bool:
    """Whether a call is a checkpoint of something else than a method or a submodule."""
    if not isinstance(node, ast.Call) or not node.args:
        return False
    called = getattr(node.func, "attr", getattr(node.func, "id", ""))
    first = node.args[0]
    own = isinstance(first, ast.Attribute) and text.is_self(first.value)
    return called == "checkpoint" and not own


def _used(node: ast.AST, kind: type, text: _Text) -> list[Any]:
    """What else is looked into: the object's own methods, its parents', functions by name."""
    if isinstance(node, ast.Attribute) and text.is_self(node.value):
        return [_function(kind, node.attr)]
    if isinstance(node, ast.Attribute) and _is_super(node.value):
        return [_function(base, node.attr) for base in kind.__mro__[1:]]
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
        return [inspect.unwrap(text.scope.get(node.func.id))]  # type: ignore[arg-type]
    return []


def _is_super(node: ast.expr) -> bool:
    called = isinstance(node, ast.Call) and isinstance(node.func, ast.Name)
    return called and node.func.id == "super"  # type: ignore[attr-defined]


def readable(module: nn.Module) -> bool:
    """Whether the source of the module's forward can be read, or is torch's own."""
    forward = _function(type(module), "forward")
    return not _belongs(forward, type(module)) or bool(_source(forward).scope)


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


@dataclass(frozen=True, eq=False)
class _Text:
    """A function's source: its syntax, the names it sees, its first line and its own object."""

    tree: ast.AST = field(default_factory=lambda: ast.Module([], []))
    scope: dict[str, Any] = field(default_factory=dict)
    line: int = 0
    me: str = ""

    def is_self(self, node: ast.expr) -> bool:
        """Whether it is the object that the method is of."""
        return isinstance(node, ast.Name) and node.id == self.me


@functools.cache
def _source(function: Any) -> _Text:
    """What is written; no names at all where there is no source."""
    if not inspect.isfunction(function):
        return _Text()
    try:
        lines, first = inspect.getsourcelines(function)
        tree = ast.parse(textwrap.dedent("".join(lines)))
    except (OSError, SyntaxError):
        return _Text()
    names = {**vars(builtins), **function.__globals__}
    names |= inspect.getclosurevars(function).nonlocals
    within = function.__qualname__.rpartition(".")[0]
    is_method = bool(within) and not within.endswith("<locals>")
    me = function.__code__.co_varnames[0] if is_method else ""
    return _Text(tree, names, first, me)


def _name_of(node: ast.Call, text: _Text) -> str | None:
    """The row of one call, where the source tells it."""
    called, is_method = _called(node.func, text)
    if called is None:
        return None
    args = [None] * is_method + [_constant(each) for each in node.args]
    kwargs = {each.arg: _constant(each.value) for each in node.keywords if each.arg}
    try:
        return name_of_call(called, args, kwargs)
    except TypeError:  # what cannot be hashed is no function of torch's
        return None


def _called(node: ast.expr, text: _Text) -> tuple[Any, bool]:
    """The function that is called, and whether it is as a method of a tensor."""
    if isinstance(node, ast.Name):
        return text.scope.get(node.id), False
    if not isinstance(node, ast.Attribute):
        return None, False
    owner, _ = _called(node.value, text)
    if owner is not None:
        return getattr(owner, node.attr, None), False
    return (None, False) if text.is_self(node.value) else (METHODS.get(node.attr), True)


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
        inputs: a batch, as `plie.batches.run` takes it.

    Returns:
        the rows' names by the module's name; calls in functions that it calls count, too.
    """
    found: dict[str, set[str]] = {}

    def see(seen: Sighting) -> None:
        if seen.call and seen.activation.name in NAMES:
            found.setdefault(seen.owner, set()).add(seen.activation.name)

    with watching(model, see), naming(inputs, 1, type(model).__name__):
        run(model, inputs)
    return found
