"""A study as the line that repeats it: a command, or a Python call where no command can."""

from __future__ import annotations

import os
import shlex
from collections.abc import Sequence
from dataclasses import fields
from typing import TYPE_CHECKING, Any

from plie.attack.gradient import Gradient
from plie.attack.spec import spec as attack_spec
from plie.source import definition, has_spec, spec

if TYPE_CHECKING:
    from plie.activation import Activation
    from plie.study.grid import Study


def command(study: Study, acts: Sequence[Activation]) -> str:
    """What was asked for, so that nothing else is: defaults are not spelled out.

    The folder is no part of it: results do not depend on where they are.

    >>> from plie.study import Study
    >>> Study("digits", ["relu", "elu:alpha=2"], seeds=20, scale=False).command
    'plie study digits --act relu --act elu:alpha=2 --seeds 20 --no-scale'
    """
    changed = _changed(study)
    if not isinstance(study.data, str | os.PathLike) or not all(map(has_spec, acts)):
        return _call(study, acts, changed)
    words = ["plie", "study", os.fspath(study.data)]
    for word in _asked(study, acts):
        words += ["--act", word]
    for name, value in changed.items():
        words += _option(name.replace("_", "-"), value)
    return shlex.join(words)


def _asked(study: Study, acts: Sequence[Activation]) -> list[str]:
    """The activations as they were asked for: ``all`` rather than a hundred names."""
    given = [study.act] if isinstance(study.act, str) else study.act
    texts = [each for each in given if isinstance(each, str)] if isinstance(given, Sequence) else []
    groups = [text.strip() for text in texts if text.strip().startswith(("all", "family:"))]
    if groups and len(texts) == len(given):  # type: ignore[arg-type]
        return texts
    return [spec(act) for act in acts]


def _changed(study: Study) -> dict[str, Any]:
    given = {
        f.name: getattr(study, f.name) for f in fields(study) if f.default != getattr(study, f.name)
    }
    return {name: v for name, v in given.items() if name not in ("data", "act", "folder")}


def _option(word: str, value: Any) -> list[str]:
    if isinstance(value, Gradient):
        return [f"--{word}", attack_spec(value)]
    if value is False:
        return [f"--no-{word}"]
    if isinstance(value, str | int | float):
        return [f"--{word}", value if isinstance(value, str) else repr(value)]
    # one seed with a comma: alone it would be a number of seeds
    text = ",".join(map(repr, value))
    return [f"--{word}", f"{text}," if word == "seeds" and len(value) == 1 else text]


def _call(study: Study, acts: Sequence[Activation], changed: dict[str, Any]) -> str:
    data = repr(os.fspath(study.data)) if isinstance(study.data, str | os.PathLike) else "dataset"
    named = all(map(has_spec, acts))
    texts = [repr(spec(act)) if named else definition(act) for act in acts]
    more = "".join(f", {name}={_python(value)}" for name, value in changed.items())
    return f"plie.Study({data}, [{', '.join(texts)}]{more}).run()"


def _python(value: Any) -> str:
    if isinstance(value, Gradient):
        return repr(attack_spec(value))
    return repr(value if isinstance(value, str | int | float) else list(value))
