"""An expression as a short list of steps, which any evaluator of the atoms can run."""

from __future__ import annotations

import functools
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import sympy

Expr = Any  # a sympy expression; sympy itself is untyped


@dataclass(frozen=True)
class Program:
    """An expression as steps in order; step i leaves its value in slot i.

    A step is (operation, constant or name, slots of its arguments). Operations are "const",
    "input", "add", "mul", "div", "power" (by an integer), and otherwise the name of the node:
    "Select" or an atom's.
    """

    steps: tuple[tuple[str, Any, tuple[int, ...]], ...]

    def run(
        self,
        operations: Mapping[str, Callable[..., Any]],
        inputs: Mapping[str, Any],
        constant: Callable[[Expr], Any],
    ) -> Any:
        """Evaluate with ``operations`` on ``inputs``; ``constant`` converts exact numbers."""
        slots: list[Any] = []
        for operation, detail, args in self.steps:
            if operation == "input":
                value = inputs[detail]
            elif operation == "const":
                value = constant(detail)
            elif operation == "power":
                value = operations[operation](slots[args[0]], detail)
            else:
                value = operations[operation](*(slots[i] for i in args))
            slots.append(value)
        return slots[-1]


@functools.lru_cache(maxsize=8192)
def compile_program(expr: Expr) -> Program:
    """Steps that evaluate ``expr``; parts that occur twice are computed once."""
    compiler = _Compiler()
    last = compiler.visit(expr)
    return Program(tuple(compiler.steps[: last + 1]))


def postorder(expr: Expr, known: Collection[Expr] = ()) -> Iterable[Expr]:
    """Every distinct node once, arguments first; iterative, so depth cannot overflow.

    What is ``known`` already is passed over.
    """
    seen: set[Expr] = set()
    stack: list[tuple[Expr, bool]] = [(expr, False)]
    while stack:
        node, ready = stack.pop()
        if node in seen or node in known:
            continue
        if ready:
            seen.add(node)
            yield node
        else:
            stack.append((node, True))
            stack.extend((arg, False) for arg in reversed(node.args) if arg not in seen)


class _Compiler:
    def __init__(self) -> None:
        self.steps: list[tuple[str, Any, tuple[int, ...]]] = []
        self.slot: dict[Any, int] = {}
        self.constants: dict[Expr, bool] = {}

    def is_constant(self, node: Expr) -> bool:
        if node not in self.constants:
            parts = map(self.is_constant, node.args)
            self.constants[node] = not isinstance(node, sympy.Symbol) and all(parts)
        return self.constants[node]

    def is_reciprocal(self, node: Expr) -> bool:
        return isinstance(node, sympy.Pow) and bool(node.exp < 0) and not self.is_constant(node)

    def emit(self, key: Any, operation: str, detail: Any = None, args: Sequence[int] = ()) -> int:
        self.steps.append((operation, detail, tuple(args)))
        self.slot[key] = len(self.steps) - 1
        return self.slot[key]

    def visit(self, node: Expr) -> int:
        if node in self.slot:
            return self.slot[node]
        if self.is_constant(node):
            return self.emit(node, "const", node)
        if isinstance(node, sympy.Symbol):
            return self.emit(node, "input", node.name)
        if isinstance(node, sympy.Add):
            return self.chain(node, "add", [self.visit(arg) for arg in node.args])
        if isinstance(node, sympy.Mul):
            return self.product(node)
        if isinstance(node, sympy.Pow):
            return self.integer_power(node)
        return self.emit(node, type(node).__name__, None, [self.visit(arg) for arg in node.args])

    def integer_power(self, node: sympy.Pow) -> int:
        if node.exp < 0:
            below = self.visit(node.base ** (-node.exp))
            return self.emit(node, "div", None, [self.visit(sympy.S.One), below])
        return self.emit(node, "power", int(node.exp), [self.visit(node.base)])

    def product(self, node: sympy.Mul) -> int:
        above = [f for f in node.args if not self.is_reciprocal(f)]
        below = [self.visit(f.base ** (-f.exp)) for f in node.args if self.is_reciprocal(f)]
        top = [self.visit(f) for f in above] or [self.visit(sympy.S.One)]
        if not below:
            return self.chain(node, "mul", top)
        numerator = self.chain(("above", node), "mul", top)
        return self.emit(node, "div", None, [numerator, self.chain(("below", node), "mul", below)])

    def chain(self, key: Any, operation: str, slots: list[int]) -> int:
        total = slots[0]
        for i, slot in enumerate(slots[1:], start=2):
            last = key if i == len(slots) else (key, i)
            total = self.emit(last, operation, None, [total, slot])
        return total
