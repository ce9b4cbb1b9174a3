"""`Activation`: one function with its parameters, its source, and everything derived from it."""

from __future__ import annotations

import dataclasses
import math
import numbers
import re
import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

from plie.errors import FormulaError, InputError, ParameterError, unknown
from plie.formula import Formula
from plie.latex import latex
from plie.reader import RESERVED

if TYPE_CHECKING:
    import torch
    from torch import Tensor, nn

    from plie.facts import Facts
    from plie.vector import VectorRule


class Record:
    """Shows only what was said of it, as the call that makes it again."""

    def __repr__(self) -> str:
        said = {
            field.name: getattr(self, field.name)
            for field in dataclasses.fields(self)  # type: ignore[arg-type]
            if field.repr and getattr(self, field.name) != field.default
        }
        return f"{type(self).__name__}({', '.join(f'{k}={v!r}' for k, v in said.items())})"


@dataclass(frozen=True, repr=False)
class Parameter(Record):
    """One parameter of an activation.

    Args:
        name: a Python identifier, torch's name where torch has the function.
        default: the value it has unless another is given.
        learnable: whether `Activation.module` makes it an ``nn.Parameter``.
        low, high: the allowed range.
        exclusive: whether the bounds themselves are excluded.
        integer: whether only whole numbers are allowed.
        aliases: other names that the literature has for it.

    >>> Parameter("alpha", 0.5, learnable=True, low=0).range_text()
    'alpha must be >= 0'
    """

    name: str
    default: float
    learnable: bool = False
    low: float = -math.inf
    high: float = math.inf
    exclusive: bool = False
    integer: bool = False
    aliases: tuple[str, ...] = ()

    def check(self, owner: str, value: float) -> float:
        """The value as a float, an int if ``integer``.

        Args:
            owner: the activation's name, for the message.
            value: any real number; text and tensors are none.

        Raises:
            ParameterError: unless the value is allowed.
        """
        if isinstance(value, bool) or not isinstance(value, numbers.Real):
            raise ParameterError(f"{owner}: {self.name} must be a number, not {value!r}")
        try:
            value = float(value)
        except OverflowError:
            value = math.inf if value > 0 else -math.inf
        if self.integer and math.isfinite(value):
            if not value.is_integer():
                raise ParameterError(f"{owner}: {self.name} must be a whole number, not {value!r}")
            value = int(value)
        outside = (
            value <= self.low or value >= self.high
            if self.exclusive
            else (value < self.low or value > self.high)
        )
        if not math.isfinite(value) or outside:
            raise ParameterError(
                f"{owner}: {self.name}={value:g} is not allowed; {self.range_text()}"
            )
        return int(value) if self.integer else float(value)

    def range_text(self) -> str:
        """The allowed range in words."""
        less = "<" if self.exclusive else "<="
        if math.isinf(self.low) and math.isinf(self.high):
            return f"{self.name} may be any {'whole' if self.integer else 'finite'} number"
        if math.isinf(self.high):
            return f"{self.name} must be {'>' if self.exclusive else '>='} {self.low:g}"
        if math.isinf(self.low):
            return f"{self.name} must be {less} {self.high:g}"
        return f"{self.low:g} {less} {self.name} {less} {self.high:g} is required"

    def closed_range(self) -> tuple[float, float]:
        """Bounds that a value may be clamped to: a hair inside those that are excluded."""
        if not self.exclusive:
            return self.low, self.high
        hair = 2.0**-20
        low = self.low + hair * max(1, abs(self.low)) if math.isfinite(self.low) else self.low
        high = self.high - hair * max(1, abs(self.high)) if math.isfinite(self.high) else self.high
        return low, high


@dataclass(frozen=True, repr=False)
class Source(Record):
    """Where a function was published.

    Args:
        title: of the paper.
        authors: separated by commas.
        arxiv: its number there, such as ``"1606.08415"``.
        doi: such as ``"10.1016/j.neunet.2017.12.012"``.
        url: where it has neither.
        where: the journal or conference, for people.

    >>> Source("Gaussian Error Linear Units", "Dan Hendrycks", arxiv="1606.08415").link()
    'https://arxiv.org/abs/1606.08415'
    """

    title: str
    authors: str
    arxiv: str = ""
    doi: str = ""
    url: str = ""
    where: str = ""

    def link(self) -> str:
        """A web address, or "" where the source has none."""
        if self.arxiv:
            return f"https://arxiv.org/abs/{self.arxiv}"
        return f"https://doi.org/{self.doi}" if self.doi else self.url


USER = Source("", "")  # of functions that a user defined

_TEX = str.maketrans(
    {
        **{sign: f"\\{sign}" for sign in "&%$#_"},
        # An escaped brace would still count as one.
        "{": r"\textbraceleft{}",
        "}": r"\textbraceright{}",
        "\\": r"\textbackslash{}",
    }
)


_MAX_ORDER = 6


_computing: Any = None


def _operations() -> Any:
    """The module that computes: imported at the first call, and no import statement after.

    Without `functools.cache`, of which torch.compile warns.
    """
    global _computing
    if _computing is None:
        from plie.compiled import ops

        _computing = ops
    return _computing


def _checked_order(order: int) -> int:
    """The order of a derivative; anything but a whole number in range would be misread."""
    if isinstance(order, bool) or not isinstance(order, int) or not 0 <= order <= _MAX_ORDER:
        raise InputError(f"derivative order must be 0 to {_MAX_ORDER}, not {order!r}")
    return order


@dataclass(frozen=True, repr=False)
class Activation(Record):
    """An activation function: a frozen record that can be called on a tensor.

    Args:
        name: snake_case; torch's spelling where torch has the function.
        title: the class name in `plie.nn`.
        formula: f(x) as text (see `plie.define` for the grammar).
        parameters: in torch's order where torch has the function.
        family: the kind of function, one file of the zoo each.
        year: of first publication.
        source: the paper the formula was taken from and checked against.
        aliases: other names it is known by.
        note: one sentence, where papers disagree.
        training: a formula used in training mode instead, with ``u`` uniform on [0, 1).
        vector: the rule of a function that works on whole vectors, not single numbers.

    >>> import torch, plie
    >>> silu = plie.get("silu")
    >>> silu(torch.tensor([-1.0, 0.0, 1.0]))
    tensor([-0.2689,  0.0000,  0.7311])
    """

    name: str
    title: str
    formula: str
    parameters: tuple[Parameter, ...] = ()
    family: str = "user"
    year: int | None = None
    source: Source = USER
    aliases: tuple[str, ...] = ()
    note: str = ""
    training: str = ""
    vector: VectorRule | None = None
    _spec: str = dataclasses.field(default="", init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        # Made once, outside of any compiled code, which could not trace how it is made.
        spec = self.as_formula().spec if self.is_scalar else ""
        object.__setattr__(self, "_spec", spec)

    @property
    def __name__(self) -> str:
        """As functions have one, for whoever is told of calls."""
        return self.name

    # --- parameters ---

    @property
    def is_scalar(self) -> bool:
        """Whether it works on each number by itself."""
        return self.vector is None

    @property
    def values(self) -> dict[str, float]:
        """Parameter values by name."""
        return {p.name: p.default for p in self.parameters}

    @property
    def learnable(self) -> tuple[str, ...]:
        """Names of the parameters that a layer learns unless told otherwise."""
        return tuple(p.name for p in self.parameters if p.learnable)

    def parameter(self, name: str) -> Parameter:
        """The parameter of that name; raises `ParameterError` naming those there are."""
        for parameter in self.parameters:
            if name == parameter.name or name in parameter.aliases:
                return parameter
        if not self.parameters:
            raise ParameterError(f"{self.name} has no parameters, so '{name}' cannot be set")
        names = [p.name for p in self.parameters]
        raise ParameterError(f"{self.name}: {unknown('parameter', name, names)}")

    def with_parameters(self, **values: float) -> Activation:
        """The same function at other parameter values.

        Raises:
            ParameterError: for an unknown parameter or a value outside its range.
        """
        asked = [(self.parameter(name), value) for name, value in values.items()]
        checked = {p.name: p.check(self.name, value) for p, value in asked}
        if len(checked) < len(asked):
            given = " and ".join(f"'{name}'" for name in values)
            raise ParameterError(f"{self.name}: {given} set one parameter more than once")
        changed = tuple(
            dataclasses.replace(p, default=checked.get(p.name, p.default)) for p in self.parameters
        )
        return dataclasses.replace(self, parameters=changed)

    @property
    def label(self) -> str:
        """Its name with its parameter values, for legends and tables."""
        values = ", ".join(f"{name}={value:.4g}" for name, value in self.values.items())
        return f"{self.name} ({values})" if values else self.name

    def as_formula(self, free: Sequence[str] = (), *, training: bool = False) -> Formula:
        """The formula with every parameter fixed that is not ``free``.

        Args:
            free: names of parameters to leave as symbols.
            training: the formula of training mode instead.

        Raises:
            InputError: for a function of a vector.
        """
        self.require_scalar("a formula")
        text = self.training if training else self.formula
        fixed = tuple((name, value) for name, value in self.values.items() if name not in free)
        return Formula(text, fixed, tuple(free))

    def require_scalar(self, feature: str) -> None:
        """Raises `InputError` for functions of a vector, which have no ``feature``."""
        if not self.is_scalar:
            raise InputError(
                f"{self.name} works on whole vectors, so it has no {feature}; "
                "choose an elementwise activation"
            )

    # --- values ---

    def __call__(self, x: Tensor, *, out: Tensor | None = None) -> Tensor:
        """f(x), elementwise, with the dtype, shape, device and strides of ``x``.

        Args:
            x: floating tensor of any shape.
            out: a tensor to write into, ``x`` itself included; without autograd, as in torch.

        Raises:
            DTypeError: if ``x`` is not a floating tensor.
            InputError: if ``out`` does not fit ``x`` or would need a gradient.
        """
        if self.vector is not None:
            if out is not None:
                raise InputError(f"{self.name} works on whole vectors and takes no out=")
            return self.vector(x, **self.values)
        if out is None:
            computing = _computing or _operations()
            if computing.is_watched():
                return computing.told(self, x)  # type: ignore[no-any-return]
            result: Tensor = computing.call(x, self._spec, "")
            return result
        written: Tensor = _operations().write(x, out, self._spec, "")
        return written

    def backward(self, grad: Tensor, x: Tensor, *, out: Tensor | None = None) -> Tensor:
        """``grad``·f′(x) in one pass over memory: what autograd calls.

        Args:
            grad: the gradient by f(x), of the shape and dtype of ``x``.
            x: floating tensor of any shape.
            out: a tensor to write into.

        Raises:
            DTypeError: if ``x`` is not a floating tensor.
            InputError: if shapes or dtypes differ, or a gradient would be needed.

        >>> import torch, plie
        >>> plie.get("relu").backward(torch.tensor([2.0, 3.0]), torch.tensor([-1.0, 1.0]))
        tensor([0., 3.])
        """
        self.require_scalar("elementwise derivative")
        result: Tensor = _operations().write(x, out, self._spec, "x", grad)
        return result

    @property
    def kernel(self) -> str:
        """In words, what computes it on float32 tensors in memory, and how exactly.

        >>> import plie
        >>> plie.get("relu").kernel
        'f: 2 pieces of degree 1, within 0 ulp; f′: 2 pieces of degree 1, within 0 ulp'
        """
        if self.vector is not None:
            return "torch operations"
        text: str = _operations().kernel_text(self._spec)
        return text

    def derivative(self, x: Tensor, order: int = 1) -> Tensor:
        """The exact derivative of the given order at ``x``, itself differentiable.

        At a kink it is the derivative of the piece to which the formula assigns the point.

        Args:
            x: floating tensor of any shape.
            order: 0 to 6; 0 is f itself.

        Raises:
            DTypeError: if ``x`` is not a floating tensor.
            InputError: if the order is not 0 to 6, or the function is not elementwise.

        >>> import torch, plie
        >>> plie.get("tanh").derivative(torch.zeros(1), order=3)
        tensor([-2.])
        """
        self.require_scalar("elementwise derivative")
        variables = " ".join("x" * _checked_order(order))
        result: Tensor = _operations().call(x, self._spec, variables)
        return result

    def reference(self, x: Any, digits: int = 50, order: int = 0) -> Any:
        """f(x), or a derivative, to ``digits`` correct decimal digits, as an mpmath number.

        Args:
            x: a number or numeric text; a float means exactly that float.
            digits: of the result, relative to its size.
            order: of the derivative, at most 6.

        Raises:
            InputError: for anything else.

        >>> import plie
        >>> print(plie.get("gelu").reference("1.5", digits=20))
        1.399789198096712901
        """
        self.require_scalar("reference value")
        from plie.reference import reference

        return reference(self.as_formula(), x, digits, _checked_order(order))

    def module(
        self,
        num_parameters: int = 1,
        *,
        learnable: Iterable[str] | bool | None = None,
        inplace: bool = False,
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
    ) -> nn.Module:
        """A layer computing this function.

        Args:
            num_parameters: 1, or the number of channels (dimension 1 of the input).
            learnable: names of the parameters to learn, True for all; None takes the
                definition's own.
            inplace: write the result over the input.
            device: of the learned parameters.
            dtype: of the learned parameters.

        Raises:
            ParameterError: for a parameter that does not exist, or an option that a function of
                a vector does not have: it learns nothing and is never in place.

        >>> import plie
        >>> list(plie.get("elu").module(learnable=["alpha"]).state_dict())
        ['alpha']
        """
        if self.vector is not None:
            from plie.vector import VectorModule

            if num_parameters != 1 or learnable or inplace:
                raise ParameterError(
                    f"{self.name} works on whole vectors: its layer takes neither num_parameters "
                    "nor learnable nor inplace"
                )
            return VectorModule(self)
        from plie.modules import ActivationModule

        return ActivationModule(
            self, num_parameters, learnable=learnable, inplace=inplace, device=device, dtype=dtype
        )

    # --- what is known about it ---

    @cached_property
    def facts(self) -> Facts:
        """Everything computed from the formula: range, kinks, smoothness, gain and more."""
        self.require_scalar("facts")
        from plie.facts import facts

        return facts(self.as_formula())

    def latex(self, order: int = 0) -> str:
        r"""The formula in LaTeX with its parameters as symbols.

        Args:
            order: 0, or that of a derivative.

        Raises:
            InputError: if the order is not 0 to 6.

        >>> import plie
        >>> print(plie.get("silu").latex())
        x \sigma\left(x\right)
        """
        _checked_order(order)
        if self.vector is not None:
            if order:
                self.require_scalar("elementwise derivative")
            return self.vector.latex
        names = tuple(p.name for p in self.parameters)
        return latex(Formula(self.formula, (), names).expr(("x",) * order))

    def cite(self) -> str:
        """The source as a BibTeX entry; "" for a function of the user's own."""
        if self.source == USER:
            return ""
        source = self.source
        authors = " and ".join(re.split(r",\s*", source.authors))
        fields = {
            "title": source.title.translate(_TEX),
            "author": authors.translate(_TEX),
            "year": str(self.year or ""),
            "howpublished": source.where.translate(_TEX),
            "eprint": source.arxiv,
            "archiveprefix": "arXiv" if source.arxiv else "",
            "doi": source.doi,
            "url": source.link(),
        }
        lines = [f"  {key} = {{{value}}}," for key, value in fields.items() if value]
        return "\n".join([f"@misc{{{self._citation_key()},", *lines, "}"])

    def _citation_key(self) -> str:
        first = re.split(r",|\band\b", self.source.authors)[0].split() or ["unknown"]
        key = f"{first[-1]}{self.year or ''}{self.name}".lower()
        # BibTeX itself reads ASCII only: ç becomes c.
        return re.sub("[^a-z0-9]", "", unicodedata.normalize("NFKD", key))

    def _repr_html_(self) -> str:
        from plie.display import html

        return html(self)


def validate(activation: Activation) -> Activation:
    """A definition checked as a whole; raises `FormulaError` or `ParameterError`."""
    seen: set[str] = set()
    for parameter in activation.parameters:
        name = parameter.name
        if name in RESERVED or not name.isidentifier() or name.startswith("_"):
            raise ParameterError(f"'{name}' cannot name a parameter; choose another identifier")
        if name in seen:
            raise ParameterError(f"parameter '{name}' is given twice")
        seen.add(name)
        bounds = (parameter.low, parameter.high)
        if not all(isinstance(b, numbers.Real) for b in bounds) or not bounds[0] <= bounds[1]:
            raise ParameterError(
                f"{activation.name}: the range of {name} is two numbers, low <= high, not {bounds}"
            )
        parameter.check(activation.name, parameter.default)
    if activation.is_scalar:
        expr = Formula(activation.formula, (), tuple(p.name for p in activation.parameters)).expr()
        text = unicodedata.normalize("NFKC", f"{activation.formula} {activation.training}")
        for name in sorted(seen):
            if not re.search(rf"\b{name}\b", text):
                raise FormulaError(f"parameter '{name}' does not occur in the formula")
        if "x" not in {s.name for s in expr.free_symbols}:
            raise FormulaError("the formula does not depend on x", activation.formula, 1)
    return activation
