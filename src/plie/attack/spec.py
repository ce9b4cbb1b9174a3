"""Attacks by the words people type: ``pgd-50``, ``fgsm-rs:eps=0.1``."""

from __future__ import annotations

import math
import re
from dataclasses import fields, replace
from typing import Any

from plie.attack.gradient import FGSM, PGD, Gradient
from plie.errors import InputError, unknown

KINDS = ("fgsm", "fgsm-rs", "pgd-10")


def parse(text: str, **usual: Any) -> Gradient:
    """The attack of a spec: ``fgsm``, ``fgsm-rs`` (from a random start) or ``pgd-STEPS``.

    Settings follow a colon: ``pgd-50:eps=8/255,norm=l2,step_size=0.01``.

    Args:
        text: the spec.
        **usual: settings for what it leaves open, such as ``eps`` and ``bounds``.

    Raises:
        UnknownNameError: another kind of attack, or a setting it does not have.
        InputError: a value that cannot be used, or no ``eps``.

    >>> parse("pgd-50", eps=0.1).steps, parse("fgsm-rs:eps=8/255").random_start
    (50, True)
    """
    name, _, rest = text.strip().lower().partition(":")
    kind, given = _kind(name)
    known = {field.name for field in fields(kind)}
    for word in filter(None, rest.split(",")):
        key, equals, value = (part.strip() for part in word.partition("="))
        key = key.replace("-", "_")
        if key not in known:
            raise unknown(f"setting of {name}", key, known)
        if not equals:
            raise InputError(f"in '{text}': {key} takes a value, as {key}=…")
        given[key] = _value(key, value, text)
    settings = {**{k: v for k, v in usual.items() if k in known}, **given}
    if "eps" not in settings:
        raise InputError(f"'{text}' has no radius; give one, as {name}:eps=0.1")
    return kind(**settings)


def spec(attack: Gradient) -> str:
    """The text that `parse` makes it of again.

    >>> spec(parse("pgd-50:eps=0.1"))
    'pgd-50:eps=0.1'
    """
    if isinstance(attack, PGD):
        name = f"pgd-{attack.steps}"
    else:
        name = "fgsm-rs" if attack.random_start else "fgsm"
    usual = replace(parse(name, eps=attack.eps))
    changed = {
        field.name: getattr(attack, field.name)
        for field in fields(attack)
        if field.name == "eps" or getattr(attack, field.name) != getattr(usual, field.name)
    }
    return f"{name}:{','.join(f'{key}={_text(value)}' for key, value in changed.items())}"


def _kind(name: str) -> tuple[type[Gradient], dict[str, Any]]:
    if name in ("fgsm", "fgsm-rs"):
        return FGSM, {"random_start": name == "fgsm-rs"}
    steps = re.fullmatch(r"pgd-?(\d{1,6})?", name)
    if steps is None:
        raise unknown("attack", name, KINDS)
    return PGD, {"steps": int(steps[1])} if steps[1] else {}


def _value(key: str, value: str, text: str) -> Any:
    if key in ("norm", "loss"):
        return value
    try:
        if key == "random_start":
            return {"true": True, "false": False, "1": True, "0": False}[value]
        if key == "bounds":
            return None if value == "none" else _pair(value)
        if key in ("steps", "restarts"):
            return int(value)
        return _number(value)
    except (KeyError, ValueError, ZeroDivisionError):
        raise InputError(f"in '{text}': {key} cannot be '{value}'") from None


def _number(text: str) -> float:
    """A number, or a fraction such as 8/255."""
    over, _, under = text.partition("/")
    number = float(over) / (float(under) if under else 1.0)
    if math.isnan(number):
        raise ValueError
    return number


def _pair(text: str) -> tuple[float, float]:
    low, high = text.split("..")
    return _number(low), _number(high)


def _text(value: Any) -> str:
    if isinstance(value, tuple):
        return "..".join(f"{each:g}" for each in value)
    return str(value).lower() if isinstance(value, bool | None) else str(value)
