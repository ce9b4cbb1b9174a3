"""All the definitions that ship with Plié, and the ways to find one.

Each file of this package is one family and holds rows only. Adding a row is all it takes:
everything else walks `rows`.
"""

from __future__ import annotations

import functools
import importlib
import pkgutil
import re
from collections.abc import Mapping

from plie.activation import USER, Activation, Parameter, Source, validate
from plie.errors import InputError, ParameterError, unknown
from plie.reader import MAX_LENGTH


@functools.cache
def rows() -> Mapping[str, Activation]:
    """Every definition of the zoo by name, families in alphabetical order."""
    found: dict[str, Activation] = {}
    for module in sorted(info.name for info in pkgutil.iter_modules(__path__)):
        for row in importlib.import_module(f"{__name__}.{module}").ROWS:
            if row.name in found:
                raise AssertionError(f"two rows are named {row.name}")
            found[row.name] = row
    return found


@functools.cache
def _lookup() -> dict[str, Activation]:
    table: dict[str, Activation] = {}
    for row in rows().values():
        for name in (row.name, row.title, *row.aliases):
            key = _key(name)
            if table.setdefault(key, row) is not row:
                raise AssertionError(f"{name} means both {table[key].name} and {row.name}")
    return table


def _key(name: str) -> str:
    return re.sub(r"[\s_.\-]+", "", name).lower()


def get(activation: str | Activation, **parameters: float) -> Activation:
    """The activation of a name, alias or spec, at given parameter values.

    Args:
        activation: a name in any case, with or without ``_`` and ``-``; a spec such as
            ``"softplus:beta=10"``; or an `Activation`, which is returned as it is.
        **parameters: values to set; they go before those of a spec.

    Raises:
        InputError: if ``activation`` is neither text nor an `Activation`.
        UnknownNameError: with the nearest names there are.
        ParameterError: for an unknown parameter or one outside its range.

    >>> get("leaky_relu", negative_slope=0.1).formula
    'x if x > 0 else negative_slope*x'
    """
    if isinstance(activation, Activation):
        return activation.with_parameters(**parameters) if parameters else activation
    if not isinstance(activation, str):
        raise InputError(f"an activation is named by text, not {type(activation).__name__}")
    name, _, settings = activation.partition(":")
    row = _lookup().get(_key(name))
    if row is None:
        raise unknown("activation", name.strip(), _suggestable(name))
    return get(get(row, **_settings(row, settings)), **parameters)


def _suggestable(given: str) -> list[str]:
    """Names and aliases, those of torch's spelling included where that is what was typed."""
    titles = [row.title for row in rows().values()] if given != given.lower() else []
    return [*rows(), *(alias for row in rows().values() for alias in row.aliases), *titles]


def _settings(row: Activation, text: str) -> dict[str, float]:
    values: dict[str, float] = {}
    for part in filter(None, (piece.strip() for piece in text.split(","))):
        name, _, number = (piece.strip() for piece in part.partition("="))
        name = row.parameter(name).name
        if name in values:
            raise ParameterError(f"{row.name}: '{text.strip()}' sets {name} more than once")
        try:
            values[name] = float(number)
        except ValueError:
            raise ParameterError(
                f"{row.name}: cannot read '{part}'; write {row.name}:{name}=NUMBER"
            ) from None
    return values


def families() -> list[str]:
    """The families of the zoo, sorted.

    >>> families()[:3]
    ['exponential', 'gated', 'learnable']
    """
    return sorted({row.family for row in rows().values()})


def names(
    family: str | None = None,
    *,
    smooth: bool | None = None,
    monotonic: bool | None = None,
    scalar: bool | None = None,
) -> list[str]:
    """The names of the zoo, sorted, all of them or those asked for.

    Args:
        family: one of `families`.
        smooth: only functions with (True) or without (False) derivatives of every order.
        monotonic: only functions that are (True) or are not (False) monotonic.
        scalar: only elementwise functions (True) or only functions of a vector (False).

    Raises:
        UnknownNameError: for a family that does not exist.
        InputError: for anything but text, True and False.

    >>> "relu" in names(smooth=False)
    True
    """
    if not (family is None or isinstance(family, str)):
        raise InputError(f"a family is named by text, not {type(family).__name__}")
    for option in (smooth, monotonic, scalar):
        if not (option is None or isinstance(option, bool)):
            raise InputError(f"a filter is True, False or None, not {option!r}")
    if family is not None and family not in families():
        raise unknown("family", family, families())
    chosen = [r for r in rows().values() if family in (None, r.family)]
    if scalar is not None:
        chosen = [r for r in chosen if r.is_scalar == scalar]
    if smooth is not None:
        chosen = [r for r in chosen if r.is_scalar and r.facts.smooth == smooth]
    if monotonic is not None:
        chosen = [r for r in chosen if r.is_scalar and r.facts.monotonic == monotonic]
    return sorted(row.name for row in chosen)


def define(
    formula: str,
    *,
    name: str = "custom",
    title: str = "",
    year: int | None = None,
    source: Source = USER,
    **parameters: float | Parameter,
) -> Activation:
    """An activation of your own: it gets everything a row of the zoo has.

    The formula is a Python expression in ``x``, the constants ``pi`` and ``e``, and your
    parameters. It is read, never executed. It may use ``+ - * / **``, conditions
    (``a if x > 0 else b``), and the functions exp expm1 log log1p sqrt cbrt abs sign floor
    sin cos tan sinc sinh cosh tanh sech csch coth asin acos atan asinh acosh atanh erf erfc
    sigmoid softplus log_sigmoid tanhshrink log1pmx (log1p(u) - u) relu min max clip where
    pow Phi phi.

    Args:
        formula: f(x) as text, at most 1000 characters.
        name: what to call it, in at most 1000 characters.
        title: its class name; by default the name in capitals.
        year: of first publication.
        source: the paper it is from, for `Activation.cite`.
        **parameters: default values, or `plie.Parameter` for learnable or bounded ones.

    Raises:
        FormulaError: if the text is not a formula, with the column.
        ParameterError: for a parameter that cannot be.
        InputError: for a name, title, year or source of the wrong kind.

    >>> import torch
    >>> tanhexp = define("x*tanh(exp(alpha*x))", name="tanhexp", alpha=1.0)
    >>> tanhexp(torch.tensor([1.0]))
    tensor([0.9913])
    """
    for what, text in {"name": name, "title": title}.items():
        if isinstance(text, str) and len(text) > MAX_LENGTH:
            raise InputError(
                f"a {what} is {len(text)} characters long; at most {MAX_LENGTH} are allowed"
            )
    if not isinstance(name, str) or not name.strip() or not name.isprintable():
        raise InputError(f"an activation needs a name of printable text, not {name!r}")
    if not isinstance(title, str) or not title.isprintable():
        raise InputError(f"a title is printable text, not {title!r}")
    if not (year is None or type(year) is int):
        raise InputError(f"a year is a whole number, not {year!r}")
    if not isinstance(source, Source):
        raise InputError(f"a source is a plie.Source, not {type(source).__name__}")
    given = tuple(_parameter(key, value) for key, value in parameters.items())
    title = title or "".join(word.capitalize() for word in re.split(r"\W+|_+", name)) or "Custom"
    own = Activation(name, title, formula, given, year=year, source=source)
    return validate(own).with_parameters(**own.values)  # every number a plain Python number


def _parameter(name: str, value: float | Parameter) -> Parameter:
    if not isinstance(value, Parameter):
        return Parameter(name, value)
    if value.name != name:
        raise ParameterError(f"parameter '{name}' is given one named '{value.name}'")
    return value


__all__ = ["define", "families", "get", "names", "rows"]
