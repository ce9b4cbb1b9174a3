"""Attacks by the words people type: ``pgd-50``, ``fgsm-rs:eps=0.1``."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Sequence
from dataclasses import fields
from typing import Any

from plie.attack.base import Attack
from plie.attack.foreign import FOREIGN, TorchAttack
from plie.attack.gradient import FGSM, PGD, Gradient
from plie.errors import InputError, unknown

KINDS = ("fgsm", "fgsm-rs", "pgd-10")
TAKES = {
    "random_start": "true or false",
    "bounds": "LOW..HIGH, as 0..1, or none",
    "steps": "a whole number",
    "restarts": "a whole number",
}
COMMON = ("eps", "norm", "bounds")  # settings of every attack
WORDS = {"true": True, "false": False, "none": None}


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
    name, rest = _parts(text)
    kind, given = _kind(name, KINDS)
    known = {field.name for field in fields(kind)}
    for key, value in _words(rest, text):
        if key not in known:
            raise unknown(f"setting of {name}", key, known)
        given[key] = _value(key, value, text)
    settings = {**{k: v for k, v in usual.items() if k in known}, **given}
    if "eps" not in settings:
        raise InputError(f"'{text}' has no radius; give one, as {name}:eps=0.1")
    return kind(**settings)


def attack_of(given: str | Attack, **usual: Any) -> Attack:
    """An attack as it is, or that of a spec: those of `parse`, and those of `TorchAttack`.

    Args:
        given: such as ``"pgd-50"``, ``"autoattack"`` or ``"square:n_queries=500"``.
        **usual: settings for what a spec leaves open.

    Raises:
        UnknownNameError, InputError: as `parse` does.

    >>> attack_of("pgd-50", eps=0.1) == parse("pgd-50:eps=0.1")
    True
    """
    if isinstance(given, Attack):
        return given
    if not isinstance(given, str):
        raise InputError(f"an attack is a spec such as 'pgd-50', or an Attack, not {given!r}")
    name, rest = _parts(given)
    if name not in FOREIGN:
        _kind(name, (*KINDS, *FOREIGN))
        return parse(given, **usual)
    words = dict(_words(rest, given))
    common = {key: _value(key, words.pop(key), given) for key in COMMON if key in words}
    settings = {key: _literal(value) for key, value in words.items()}
    return TorchAttack(name=name, settings=settings, **{**usual, **common})


def spec(attack: Attack) -> str:
    """The text that `attack_of` makes it of again.

    >>> spec(parse("pgd-50:eps=0.1"))
    'pgd-50:eps=0.1'
    """
    usual, own = _usual(attack), {}
    for field in fields(attack):
        value = getattr(attack, field.name)
        if field.name == "settings":
            own.update(value)
        elif field.name == "eps" or value != usual[field.name]:
            own[field.name] = value
    name = attack.name if isinstance(attack, TorchAttack) else _gradient_name(attack)
    return f"{name}:{','.join(f'{key}={_text(value)}' for key, value in own.items())}"


def _usual(attack: Attack) -> dict[str, Any]:
    """The settings that its name alone means."""
    if isinstance(attack, TorchAttack):
        return {**{field.name: field.default for field in fields(attack)}, "name": attack.name}
    named = parse(_gradient_name(attack), eps=attack.eps)
    return {field.name: getattr(named, field.name) for field in fields(named)}


def _gradient_name(attack: Attack) -> str:
    if isinstance(attack, PGD):
        return f"pgd-{attack.steps}"
    return "fgsm-rs" if getattr(attack, "random_start", True) else "fgsm"


def _parts(text: str) -> tuple[str, str]:
    """The name, in small letters, and what follows the colon."""
    name, _, rest = text.strip().partition(":")
    return name.strip().lower(), rest


def _words(rest: str, text: str) -> Iterator[tuple[str, str]]:
    """The settings that follow a colon."""
    for word in filter(None, rest.split(",")):
        key, equals, value = (part.strip() for part in word.partition("="))
        key = key.lower().replace("-", "_")
        if not equals:
            raise InputError(f"in '{text}': {key} takes a value, as {key}=…")
        yield key, value


def _literal(value: str) -> Any:
    """A truth value, nothing, a whole number, a number, or the text."""
    if value.lower() in WORDS:
        return WORDS[value.lower()]
    for kind in (int, _number):
        try:
            return kind(value)
        except (ValueError, ZeroDivisionError):
            continue
    return value


def _kind(name: str, kinds: Sequence[str]) -> tuple[type[Gradient], dict[str, Any]]:
    if name in ("fgsm", "fgsm-rs"):
        return FGSM, {"random_start": name == "fgsm-rs"}
    steps = re.fullmatch(r"pgd-?(\d{1,18})?", name)
    if steps is None:
        raise unknown("attack", name, kinds)
    return PGD, {"steps": int(steps[1])} if steps[1] else {}


def _value(key: str, value: str, text: str) -> Any:
    value = value.lower()
    if key in ("norm", "loss"):
        return value
    try:
        if key == "random_start":
            return {"true": True, "false": False, "1": True, "0": False}[value]
        if key == "bounds":
            return None if value == "none" else _pair(value)
        if key in ("steps", "restarts"):
            return int(value)
        if key == "step_size" and value == "none":
            return None
        return _number(value)
    except (KeyError, ValueError, ZeroDivisionError):
        takes = TAKES.get(key, "a number or a fraction such as 8/255")
        raise InputError(f"in '{text}': {key} cannot be '{value}'; it takes {takes}") from None


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
        return "..".join(map(_short, value))
    return str(value).lower() if isinstance(value, bool | None) else str(value)


def _short(number: float) -> str:
    """Six digits where they say the number, as 0 or 255; else all of them."""
    short = f"{number:g}"
    return short if float(short) == number else repr(float(number))
