"""The functions a formula may use: one row each, with its derivative and its evaluators.

An atom is kept numerically whole: ``softplus(u)`` is never rewritten into
``log(1 + exp(u))``, so each evaluator computes it the way that loses no accuracy.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

Evaluator = Callable[..., Any]

# mpmath keeps exponents as integers of any size: e^(2⁶⁰⁰) is cheap, but one more exponential
# on top would need an integer of 2⁶⁰⁰ bits. Arguments beyond these take the limit instead.
_HUGE = 2**600
_PHASE = 2**1000


@dataclass(frozen=True)
class Atom:
    """One function of a formula.

    Args:
        name: as written in a formula.
        derivative: formulas in ``u`` (and ``v``), one per argument; "" where constant.
        torch: evaluator on float tensors.
        mpmath: evaluator taking an mpmath context first.
        latex: a template in ``{u}`` (and ``{v}``).
    """

    name: str
    derivative: tuple[str, ...]
    torch: Evaluator
    mpmath: Evaluator
    latex: str


def _mp_exp(c: Any, u: Any) -> Any:
    if not abs(u) < _HUGE:
        return c.nan if u != u else c.inf if u > 0 else c.zero
    if abs(u) < 2**16:
        return c.exp(u)
    # mpmath would raise e to so large a whole number by repeated squaring, ten times slower.
    with c.extraprec(c.mag(u) + 10):
        doublings = int(c.nint(u / c.ln2))
        rest = u - doublings * c.ln2
    return c.ldexp(c.exp(rest), doublings)


def _far(c: Any, u: Any) -> bool:
    """Whether exp(-|u|) lies below the precision, so that only the leading term counts."""
    return bool(abs(u) > c.prec + 20)


def _real(function: str) -> Evaluator:
    """Mpmath's ``function``, NaN where its value is not real."""

    def evaluate(c: Any, u: Any) -> Any:
        value = getattr(c, function)(u)
        return c.nan if isinstance(value, c.mpc) else value

    return evaluate


def _settling(function: str, leading: Evaluator, parity: int) -> Evaluator:
    """Mpmath's ``function``; far out its ``leading`` term in |u|, times ``parity`` if u < 0."""

    def evaluate(c: Any, u: Any) -> Any:
        if not _far(c, u):
            return getattr(c, function)(u)
        value = leading(c, abs(u))
        return value if u > 0 else value * parity

    return evaluate


def _one(c: Any, _u: Any) -> Any:
    return c.one


def _mp_expm1(c: Any, u: Any) -> Any:
    if not _far(c, u):
        return c.expm1(u)
    return _mp_exp(c, u) if u > 0 else -c.one


def _mp_sigmoid(c: Any, u: Any) -> Any:
    if not _far(c, u):
        return 1 / (1 + c.exp(-u))
    return c.one if u > 0 else _mp_exp(c, u)


def _mp_erfc(c: Any, u: Any) -> Any:
    if u < 0 and _far(c, u):
        return c.mpf(2)
    if u != u or u * abs(u) < c.prec + 20:
        return c.erfc(u)
    # The asymptotic series, whose smallest term is about exp(-u²); mpmath's overflows.
    term = total = c.one
    step, k = 1 / (2 * u * u), 1
    while abs(term) > c.eps:
        term = -term * k * step
        total, k = total + term, k + 2
    with c.extraprec(min(2 * c.mag(u), 1300)):
        square = -u * u
    return _mp_exp(c, square) * total / (u * c.sqrt(c.pi))


def _mp_normal_cdf(c: Any, u: Any) -> Any:
    return _mp_erfc(c, -u / c.sqrt(2)) / 2


def _mp_floor(c: Any, u: Any) -> Any:
    return c.floor(u) if abs(u) < _PHASE else u


def _wave(function: str) -> Evaluator:
    """Mpmath's ``function`` of a phase; NaN where reducing the phase would take forever."""
    return lambda c, u: getattr(c, function)(u) if abs(u) < _PHASE else c.nan


def _mp_softplus(c: Any, u: Any) -> Any:
    if _far(c, u):
        return u if u > 0 else _mp_exp(c, u)
    return max(u, c.zero) + c.log1p(c.exp(-abs(u)))


def _mp_power(c: Any, u: Any, v: Any) -> Any:
    if u == 0:
        return c.one if v == 0 else c.zero if v > 0 else c.inf
    if u < 0:
        if v != _mp_floor(c, v):
            return c.nan
        return _mp_power(c, -u, v) * (-1 if v % 2 else 1)
    return _mp_exp(c, v * c.log(u))


def _mp_bessel(c: Any, n: Any, u: Any) -> Any:
    order = int(n)
    if abs(u) > _PHASE:
        return c.zero
    if order == 0:
        return c.sinc(u)
    if abs(u) > 1000:  # 0F1 would sum as many terms; upwards from j_{-1} and j_0 none are lost
        u = abs(u)  # k_n is even
        last, value = c.cos(u) / u, c.sin(u) / u
        for k in range(order):
            last, value = value, (2 * k + 1) * value / u - last
        return value / u**order
    return c.hyp0f1(order + c.mpf(3) / 2, -u * u / 4) / c.fac2(2 * order + 1)


_mp_sinh = _settling("sinh", lambda c, u: _mp_exp(c, u) / 2, -1)
_mp_cosh = _settling("cosh", lambda c, u: _mp_exp(c, u) / 2, 1)


def _sign(u: Tensor) -> Tensor:
    return torch.where(u.isnan(), u, torch.sign(u))


def _softplus(u: Tensor) -> Tensor:
    return u.clamp(min=0) + torch.log1p(torch.exp(-u.abs()))


def _sech(u: Tensor) -> Tensor:
    decay = torch.exp(-u.abs())
    return 2 * decay / (1 + decay * decay)


def _csch(u: Tensor) -> Tensor:
    decay = torch.exp(-u.abs())
    return -2 * torch.sign(u) * decay / torch.expm1(-2 * u.abs())


def _cbrt(u: Tensor) -> Tensor:
    return torch.sign(u) * u.abs().pow(1 / 3)


def _scaled_bessel(n: float, u: Tensor) -> Tensor:
    """k_n(u) = j_n(u)/uⁿ, the spherical Bessel function without its zero at the origin.

    k_0 is sin(u)/u and k_n′ = −u·k_{n+1}. The upward recurrence loses digits for small u,
    where the power series takes over.
    """
    order = int(n)
    square = u * u
    term = torch.full_like(u, 1.0 / math.prod(range(1, 2 * order + 2, 2)))
    series = term
    for m in range(1, 40):
        term = term * (-square / (2 * m * (2 * order + 2 * m + 1)))
        series = series + term
    near = u.abs() < 2.0 + order
    far = torch.where(near, torch.ones_like(u), u)
    last, value = torch.cos(far) / far.square(), torch.sin(far) / far
    # k_{-1} would be u·cos(u)/u², so that k_{n+1} = ((2n+1)·k_n − k_{n-1})/u² starts right.
    last = last * far.square()
    for k in range(order):
        last, value = value, ((2 * k + 1) * value - last) / far.square()
    return torch.where(near, series, value)


def _tanhshrink(u: Tensor) -> Tensor:
    """U − tanh(u), by its continued fraction where the difference would cancel."""
    s = u * u
    depth = 2 * 9 + 1
    fraction = torch.full_like(u, float(depth))
    for odd in range(depth - 2, 1, -2):
        fraction = odd + s / fraction
    # tanh(u) = u/(1 + s/fraction), so the difference is u·s/(fraction + s).
    return torch.where(u.abs() < 1, u * s / (fraction + s), u - torch.tanh(u))


def _log1pmx(u: Tensor) -> Tensor:
    """log(1 + u) − u, by its series in u/(2 + u) where the difference would cancel."""
    z = u / (2 + u)
    s = z * z
    series = torch.zeros_like(u)
    for k in range(25, 0, -2):  # 2·(z³/3 + z⁵/5 + …) = log(1 + u) − 2z, and 2z − u = −u·z
        series = series * s + (2.0 / k if k > 1 else 0.0)
    return torch.where(u.abs() < 0.4, z * series - u * z, torch.log1p(u) - u)


def _mp_cancelling(difference: Evaluator, leading: Evaluator) -> Evaluator:
    """A difference of nearly equal numbers, with the digits that it loses added beforehand.

    For tiny arguments it is its ``leading`` term: the digits lost would be without bound.
    """

    def evaluate(c: Any, u: Any) -> Any:
        if u == 0 or u != u or abs(u) > 1:
            return difference(c, u)
        if c.mag(u) < -c.prec - 10:
            return leading(c, u)
        digits = c.dps
        c.dps = 3 * digits + int(-2 * c.log10(abs(u)))
        try:
            value = difference(c, u)
        finally:
            c.dps = digits
        return +value

    return evaluate


_mp_tanh = _settling("tanh", _one, -1)
_mp_tanhshrink = _mp_cancelling(lambda c, u: u - _mp_tanh(c, u), lambda _c, u: u * u * u / 3)
_mp_log1pmx = _mp_cancelling(lambda c, u: _real("log1p")(c, u) - u, lambda _c, u: -u * u / 2)

_SQRT2 = math.sqrt(2.0)


def _mp_phi(c: Any, u: Any) -> Any:
    return _mp_exp(c, -u * u / 2) / c.sqrt(2 * c.pi)


ATOMS: dict[str, Atom] = {
    atom.name: atom
    for atom in (
        Atom("exp", ("exp(u)",), torch.exp, _mp_exp, "e^{{{u}}}"),
        Atom(
            "expm1",
            ("exp(u)",),
            torch.expm1,
            _mp_expm1,
            r"\left(e^{{{u}}} - 1\right)",
        ),
        Atom("log", ("1/u",), torch.log, _real("log"), r"\ln\left({u}\right)"),
        Atom("log1p", ("1/(1 + u)",), torch.log1p, _real("log1p"), r"\ln\left(1 + {u}\right)"),
        Atom("sqrt", ("1/(2*sqrt(u))",), torch.sqrt, _real("sqrt"), r"\sqrt{{{u}}}"),
        Atom(
            "cbrt",
            ("1/(3*cbrt(u)**2)",),
            _cbrt,
            lambda c, u: c.sign(u) * c.cbrt(abs(u)),
            r"\sqrt[3]{{{u}}}",
        ),
        Atom("abs", ("sign(u)",), torch.abs, lambda _c, u: abs(u), r"\left|{u}\right|"),
        Atom("sign", ("",), _sign, lambda c, u: c.sign(u), r"\operatorname{{sgn}}({u})"),
        Atom("floor", ("",), torch.floor, _mp_floor, r"\lfloor {u} \rfloor"),
        Atom("sin", ("cos(u)",), torch.sin, _wave("sin"), r"\sin\left({u}\right)"),
        Atom("cos", ("-sin(u)",), torch.cos, _wave("cos"), r"\cos\left({u}\right)"),
        Atom("tan", ("1 + tan(u)**2",), torch.tan, _wave("tan"), r"\tan\left({u}\right)"),
        Atom(
            "bessel",
            ("", "-v*bessel(u + 1, v)"),
            _scaled_bessel,
            _mp_bessel,
            r"\frac{{j_{{{u}}}({v})}}{{({v})^{{{u}}}}}",
        ),
        Atom("sinh", ("cosh(u)",), torch.sinh, _mp_sinh, r"\sinh({u})"),
        Atom("cosh", ("sinh(u)",), torch.cosh, _mp_cosh, r"\cosh({u})"),
        Atom(
            "tanh",
            ("sech(u)**2",),
            torch.tanh,
            _mp_tanh,
            r"\tanh\left({u}\right)",
        ),
        Atom(
            "tanhshrink",
            ("tanh(u)**2",),
            _tanhshrink,
            _mp_tanhshrink,
            r"\left({u} - \tanh\left({u}\right)\right)",
        ),
        Atom(
            "log1pmx",
            ("-u/(1 + u)",),
            _log1pmx,
            _mp_log1pmx,
            r"\left(\ln\left(1 + {u}\right) - {u}\right)",
        ),
        Atom(
            "sech",
            ("-sech(u)*tanh(u)",),
            _sech,
            _settling("sech", lambda c, u: 2 * _mp_exp(c, -u), 1),
            r"\operatorname{{sech}}\left({u}\right)",
        ),
        Atom(
            "csch",
            ("-csch(u)*coth(u)",),
            _csch,
            _settling("csch", lambda c, u: 2 * _mp_exp(c, -u), -1),
            r"\operatorname{{csch}}\left({u}\right)",
        ),
        Atom(
            "coth",
            ("-csch(u)**2",),
            lambda u: 1 / torch.tanh(u),
            _settling("coth", _one, -1),
            r"\coth\left({u}\right)",
        ),
        Atom("asin", ("1/sqrt(1 - u**2)",), torch.asin, _real("asin"), r"\arcsin\left({u}\right)"),
        Atom("acos", ("-1/sqrt(1 - u**2)",), torch.acos, _real("acos"), r"\arccos\left({u}\right)"),
        Atom("atan", ("1/(1 + u**2)",), torch.atan, _real("atan"), r"\arctan\left({u}\right)"),
        Atom(
            "asinh",
            ("1/sqrt(1 + u**2)",),
            torch.asinh,
            _real("asinh"),
            r"\operatorname{{arsinh}}\left({u}\right)",
        ),
        Atom(
            "acosh",
            ("1/(sqrt(u - 1)*sqrt(u + 1))",),
            torch.acosh,
            _real("acosh"),
            r"\operatorname{{arcosh}}\left({u}\right)",
        ),
        Atom(
            "atanh",
            ("1/(1 - u**2)",),
            torch.atanh,
            _real("atanh"),
            r"\operatorname{{artanh}}\left({u}\right)",
        ),
        Atom(
            "erf",
            ("2*exp(-u**2)/sqrt(pi)",),
            torch.erf,
            _settling("erf", _one, -1),
            r"\operatorname{{erf}}\left({u}\right)",
        ),
        Atom(
            "erfc",
            ("-2*exp(-u**2)/sqrt(pi)",),
            torch.erfc,
            _mp_erfc,
            r"\operatorname{{erfc}}\left({u}\right)",
        ),
        Atom(
            "sigmoid",
            ("sigmoid(u)*sigmoid(-u)",),
            torch.sigmoid,
            _mp_sigmoid,
            r"\sigma\left({u}\right)",
        ),
        Atom(
            "softplus",
            ("sigmoid(u)",),
            _softplus,
            _mp_softplus,
            r"\operatorname{{softplus}}\left({u}\right)",
        ),
        Atom(
            "Phi",
            ("phi(u)",),
            lambda u: 0.5 * torch.erfc(-u / _SQRT2),
            _mp_normal_cdf,
            r"\Phi\left({u}\right)",
        ),
        Atom(
            "phi",
            ("-u*phi(u)",),
            lambda u: torch.exp(-0.5 * u * u) / math.sqrt(2 * math.pi),
            _mp_phi,
            r"\varphi\left({u}\right)",
        ),
        Atom(
            "pow",
            ("v*pow(u, v - 1)", "log(u)*pow(u, v)"),
            torch.pow,
            _mp_power,
            r"\left({u}\right)^{{{v}}}",
        ),
    )
}

# What a formula may also write, in terms of the atoms above; a, b, c are the arguments.
SHORTHANDS: dict[str, tuple[int, str]] = {
    "log_sigmoid": (1, "-softplus(-a)"),
    "sinc": (1, "bessel(0, a)"),
    "relu": (1, "a if a > 0 else 0"),
    "max": (2, "a if a > b else b"),
    "min": (2, "b if a > b else a"),
    "clip": (3, "b if a <= b else c if a >= c else a"),
    "where": (3, ""),  # where(condition, a, b): its first argument is a condition
}
