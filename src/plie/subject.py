"""The model that a command names, and the points that it is asked about."""

from __future__ import annotations

import importlib
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from torch import nn

from plie.data import load as load_data
from plie.errors import InputError, unknown
from plie.study import load as load_study
from plie.study.database import NAME

if TYPE_CHECKING:
    from plie.data import Dataset
    from plie.data.scale import Scale
    from plie.study.results import Group, StudyResult


@dataclass(frozen=True, eq=False)
class Subject:
    """A model and its points.

    Attributes:
        model: returns logits.
        label: what it is called.
        data: points that it was not trained on, where a study tells which; in its units.
        scale: of the features; None where they are in their own units.
        attack: the spec of what a study measured it by; empty for none.
    """

    model: nn.Module
    label: str
    data: Dataset
    scale: Scale | None = None
    attack: str = ""


def find(
    name: str,
    data: str | None = None,
    *,
    target: str | None = None,
    act: str | None = None,
    seed: int | None = None,
    weights: str | None = None,
) -> Subject:
    """The model of a study's folder, or the one that a function of a module returns.

    Args:
        name: a folder that `plie study` wrote, or ``package.module:function``; the function is
            called without arguments, unless it is a model itself.
        data: a data set's name or file; the study's own when None.
        target: the column of a file that holds the classes.
        act: which of a study's networks; the best one when None.
        seed: which of its seeds; that of the median score when None.
        weights: a ``.safetensors`` file, for a function's model.

    Raises:
        InputError: no such model, or points that are not those that it was trained on.
    """
    path = Path(name)
    if path.is_dir() or path.name == NAME:
        if weights is not None:
            raise InputError("a study has its networks' weights; give none")
        return _of_study(path, data, target, act, seed)
    if act is not None or seed is not None:
        raise InputError("act and seed choose among a study's networks; this is no study's folder")
    model = _made(name)
    if data is None:
        raise InputError("name the data: a data set, or a CSV or Parquet file")
    if weights is not None:
        _load_weights(model, weights)
    return Subject(model, name, load_data(data, target))


# --- studies ------------------------------------------------------------------------------------


def _of_study(
    path: Path, data: str | None, target: str | None, act: str | None, seed: int | None
) -> Subject:
    study = load_study(path)
    group = _group(study, act)
    split: dict[str, Any] = study.record["split"]
    points = _points(study, data, target, split["split_seed"])
    if points.fingerprint != group.candidate.data["fingerprint"]:
        raise InputError(f"the study was of other points than those of '{points.name}' here")
    parts = points.split(
        split["validation"], split["test"], split["split_seed"], scale=split["scale"]
    )
    if seed is not None and seed not in group.seeds:
        raise InputError(f"{group.label} has no network of seed {seed}")
    label = f"{group.label}, seed {group.median_seed if seed is None else seed}"
    return Subject(group.network(seed), label, parts.test, parts.scale, group.candidate.attack)


def _group(study: StudyResult, act: str | None) -> Group:
    if not study.groups:
        raise InputError(f"the study in '{study.folder}' has no network yet")
    if act is not None:
        found = {key: g for name, g in study.named.items() for key in (g.candidate.spec, name)}
        if act not in found:
            raise unknown("network of the study", act, [key for key in found if key])
        return found[act]
    view = study.robust or study
    verdict = view.verdict()
    best = verdict.leaders[0] if verdict else next(iter(view.named))
    return study.named[best]


def _points(study: StudyResult, data: str | None, target: str | None, seed: int) -> Dataset:
    given = study.record["data"]["given"] if data is None else data
    if given is None:
        raise InputError("the study's data was made in Python; name the file that has it")
    asked = {**study.record["data"].get("asked", {})}
    asked["target"] = asked.get("target") if target is None else target
    return load_data(given, seed=seed, **asked)


# --- functions ----------------------------------------------------------------------------------


def _made(name: str) -> nn.Module:
    """What the user's own function returns; the user named it to be run."""
    place, colon, function = name.partition(":")
    if not colon:
        raise InputError(
            f"there is no model '{name}'; give a folder that plie study wrote, or "
            "package.module:function"
        )
    if "" not in sys.path:
        sys.path.insert(0, "")  # as python -m does
    try:
        module = importlib.import_module(place)
    except ModuleNotFoundError as error:
        if error.name is None or not place.startswith(error.name):
            raise
        raise InputError(f"there is no module '{place}' here") from None
    make = getattr(module, function, None)
    if not callable(make):
        raise InputError(f"module '{place}' has no function '{function}'")
    model = make if isinstance(make, nn.Module) else make()
    if not isinstance(model, nn.Module):
        raise InputError(f"'{name}' returned a {type(model).__name__}, not an nn.Module")
    return model


def _load_weights(model: nn.Module, file: str) -> None:
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    try:
        model.load_state_dict(load_file(file))
    except FileNotFoundError:
        raise InputError(f"no file '{file}'") from None
    except (SafetensorError, RuntimeError) as error:
        reason = str(error).splitlines()[0]
        raise InputError(f"'{file}' does not hold this model's weights: {reason}") from None
