"""A study with its data: the networks there will be, and where they are kept."""

from __future__ import annotations

import os
import platform
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from plie import __version__
from plie.attack.base import check_inputs
from plie.attack.spec import spec
from plie.data import Dataset, Split
from plie.errors import InputError
from plie.store import check_folder, short_hash, slug
from plie.study.database import NAME, Store
from plie.study.records import Candidate, Cell
from plie.study.results import PARTS
from plie.zoo import get

if TYPE_CHECKING:
    from plie.activation import Activation
    from plie.study.grid import Study


@dataclass(frozen=True, eq=False)
class Plan:
    """A study with its data: the networks there will be."""

    study: Study
    data: Dataset
    split: Split

    @cached_property
    def candidates(self) -> tuple[Candidate, ...]:
        """The linear model, the MLP without a bend, and one MLP per activation."""
        study, identity = self.study, get("identity")
        if study.model == "cnn" and self.data.image_shape is None:
            raise InputError(f"a CNN looks at images; '{self.data.name}' has none")
        network = study.model.upper()
        line = "logistic" if self.data.task == "classification" else "linear"
        made = []
        if study.baselines:
            made.append(self._candidate(f"{line} regression", (), None, True))
            made.append(
                self._candidate(network, study.layers, identity, identity not in study.activations)
            )
        rest = [act for act in study.activations if not (study.baselines and act == identity)]
        made += [self._candidate(network, study.layers, act) for act in rest]
        for candidate in made:  # what cannot be made is refused before anything is written
            candidate.network()
        return tuple(made)

    def _candidate(
        self, model: str, hidden: tuple[int, ...], act: Activation | None, baseline: bool = False
    ) -> Candidate:
        study = self.study
        between: dict[str, Any] = {"norm": study.norm, "dropout": study.dropout}
        if study.model == "cnn":
            between = {"image": self.data.image_shape}
        return Candidate(
            model,
            act,
            hidden,
            inputs=len(self.data.feature_names),
            outputs=self.data.outputs,
            task=self.data.task,
            recipe=study.recipe(len(self.split.train)),
            init=study.init,
            adversary=self._attacks[0],
            attack=self._attacks[1],
            data={"fingerprint": self.data.fingerprint, **self._split},
            dataset=self.data.name,
            baseline=baseline,
            **(between if hidden else {}),
        )

    @cached_property
    def _attacks(self) -> tuple[str, str]:
        """The specs of what networks are trained against and measured by; empty for none.

        Raises:
            InputError: there are no classes to take for others, or points out of the bounds.
        """
        bounds = (0.0, 1.0) if self.data.image_shape is not None else None
        found = self.study.attacks(bounds)
        for attack in filter(None, found):
            if self.data.task == "regression":
                raise InputError(f"an attack changes a class; '{self.data.name}' has numbers")
            for part in self.split:
                check_inputs(part.features, part.targets, None, attack.bounds)
        first, second = ("" if each is None else spec(each) for each in found)
        return first, second

    @property
    def _split(self) -> dict[str, Any]:
        names = ("split_seed", "validation", "test")
        said = {name: getattr(self.study, name) for name in names}
        return said | {"scale": self.study.scales(self.data)}

    def cells(self) -> list[tuple[Candidate, list[Cell]]]:
        """Every network; each seed's rates together, so that what is there early compares."""
        pairs = [(lr, seed) for seed in self.study.members for lr in self.study.rates]
        return [(c, [c.cell(lr, seed) for lr, seed in pairs]) for c in self.candidates]

    @cached_property
    def record(self) -> dict[str, Any]:
        """Everything about the study that its store keeps, as JSON."""
        return {
            "command": self.study.command,
            "data": self._data(),
            "split": self._split,
            "rates": list(self.study.rates),
            "seeds": list(self.study.members),
            "versions": versions(),
            "candidates": [
                {"label": c.label, "baseline": c.baseline, "settings": c.settings}
                for c in self.candidates
            ],
        }

    def _data(self) -> dict[str, Any]:
        data, given = self.data, self.study.data
        return {
            "name": data.name,
            "given": None if isinstance(given, Dataset) else os.fspath(given),
            "asked": {name: getattr(self.study, name) for name in ("target", "task", "missing")},
            "task": data.task,
            "generated": data.again is not None,
            "features": list(data.feature_names),
            "classes": list(data.class_names),
            "targets": list(data.target_names),
            "rows": {name: len(part) for name, part in zip(PARTS, self.split, strict=True)},
        }

    @property
    def digest(self) -> str:
        """A hash of what is asked for."""
        asked = [self.record[name] for name in ("split", "rates", "seeds")]
        return short_hash([asked, [c.digest for c in self.candidates]])

    @property
    def folder(self) -> Path:
        """Where it is kept: by default, studies that differ in what they compare share a store."""
        if self.study.folder is not None:
            return Path(self.study.folder)
        shared = {**self.candidates[-1].settings}
        for name in ("format", "plie", "torch", "activation", "model", "dataset"):
            del shared[name]
        return Path("runs") / f"{slug(self.data.name)}-{short_hash(shared)}"

    def open(self) -> Store:
        """The store, made if there is none."""
        assert self.candidates
        check_folder(self.folder)
        self.folder.mkdir(parents=True, exist_ok=True)
        return Store(self.folder / NAME)


def versions() -> dict[str, str]:
    """Of what results depend on."""
    return {
        "plie": __version__,
        "torch": str(torch.__version__),
        "numpy": np.__version__,
        "python": platform.python_version(),
        "system": platform.platform(True, True),
    }
