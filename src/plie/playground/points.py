"""The points of a playground: generated, drawn by hand, or from a CSV file."""

from __future__ import annotations

import base64
import binascii
import inspect
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from plie.data import TOYS, Dataset, describe
from plie.errors import InputError, unknown
from plie.playground.checks import real, whole

MOST = 2000  # points
LEAST = 10
CLASSES = 8
REACH = 6.0  # a point that was drawn, or read from a file, lies in [−6, 6]²
STEPS = 2**16 - 1
BYTES = 5  # of a point: two of each coordinate, and its class
DRAWN = "points"

PLANE = tuple(name for name in TOYS if name != "wave")  # of two features
NOISE = {"xor": "wrong"}  # the parameter, where it has another name
HIGHEST = {"xor": 0.4}
KINDS = {"blobs": "classes", "spirals": "arms"}  # of those that have any number of classes


@dataclass(frozen=True)
class Points:
    """Which points.

    Attributes:
        name: of a data set of `plie.data.TOYS` in the plane, or ``"points"``.
        n: how many are generated.
        noise: as the data set has it; its own when None.
        seed: of the generator.
        classes: of a data set that has as many as one wants; its own when None.
        points: drawn ones, packed by `pack`.
        names: of the two features of drawn ones.

    >>> Points("moons", n=100).dataset().features.shape
    torch.Size([100, 2])
    """

    name: str = "xor"
    n: int = 400
    noise: float | None = None
    seed: int = 0
    classes: int | None = None
    points: str = ""
    names: tuple[str, str] = ("x1", "x2")

    @staticmethod
    def of(given: object) -> Points:
        """Read what a page sent.

        Raises:
            InputError: no such data, or a number that it cannot be made with.
        """
        if not isinstance(given, Mapping):
            raise InputError("data is an object with a name")
        name = given.get("name", "xor")
        if name == DRAWN:
            return _drawn(given)
        if name not in PLANE:
            raise unknown("data set", str(name)[:40], [*PLANE, DRAWN])
        allowed = ("name", "n", "noise", "seed", "classes")
        for key in given:
            if key not in allowed:
                raise unknown(f"setting of '{name}'", str(key)[:40], allowed)
        noise, classes = given.get("noise"), given.get("classes")
        if classes is not None and name not in KINDS:
            raise InputError(f"'{name}' has two classes, which cannot be changed")
        return Points(
            name,
            whole("n", given.get("n", 400), LEAST, MOST),
            None if noise is None else real("noise", noise, 0.0, HIGHEST.get(name, 2.0)),
            whole("seed", given.get("seed", 0), 0, 2**31 - 1),
            None if classes is None else whole("classes", classes, 2, CLASSES),
        )

    def as_json(self) -> dict[str, Any]:
        """What `of` reads to the same points."""
        if self.name == DRAWN:
            return {"name": DRAWN, "points": self.points, "names": list(self.names)}
        made: dict[str, Any] = {"name": self.name, "n": self.n, "seed": self.seed}
        for key in ("noise", "classes"):
            if getattr(self, key) is not None:
                made[key] = getattr(self, key)
        return made

    def arguments(self) -> dict[str, Any]:
        """What `plie.data` generates them with."""
        made: dict[str, Any] = {"n": self.n, "seed": self.seed}
        if self.noise is not None:
            made[NOISE.get(self.name, "noise")] = self.noise
        if self.classes is not None:
            made[KINDS[self.name]] = self.classes
        return made

    def dataset(self) -> Dataset:
        """The points themselves.

        Raises:
            InputError: settings that no points can be made with.
        """
        if self.name != DRAWN:
            return TOYS[self.name](**self.arguments())
        features, labels = unpack(self.points)
        present = torch.unique(labels)
        if len(labels) < LEAST or len(present) < 2:
            raise InputError(
                f"at least {LEAST} points of two classes are needed; there are {len(labels)} of "
                f"{len(present)}"
            )
        # classes without a point would be logits that nothing is ever learned for
        labels = torch.searchsorted(present, labels)
        names = tuple(str(int(each)) for each in present)
        return Dataset(features, labels, self.names, names, DRAWN)


def _drawn(given: Mapping[Any, Any]) -> Points:
    text, names = given.get("points", ""), given.get("names", ["x1", "x2"])
    if not isinstance(text, str):
        raise InputError("points are a text")
    features, _ = unpack(text)
    if len(features) > MOST:
        raise InputError(f"at most {MOST} points can be drawn, not {len(features)}")
    good = isinstance(names, list | tuple) and len(names) == 2
    if not good or not all(isinstance(name, str) and 0 < len(name) <= 60 for name in names):
        raise InputError("names are two short texts, one for each feature")
    if names[0] == names[1]:
        raise InputError(f"the two features need two names, not '{names[0]}' twice")
    return Points(DRAWN, len(features), points=text, names=(names[0], names[1]))


def pack(features: torch.Tensor, labels: torch.Tensor) -> str:
    """Points as a short text of letters that an address can hold.

    Args:
        features: ``(n, 2)``, within [−6, 6], which are rounded to 1/5461.
        labels: ``(n,)``, 0 to 7.

    >>> pack(torch.tensor([[0.0, 6.0]]), torch.tensor([1]))
    'AID__wE='
    """
    steps = ((features.double().clamp(-REACH, REACH) + REACH) / (2 * REACH) * STEPS).round()
    rows = np.empty(len(labels), _ROW)
    rows["x"], rows["y"] = steps.numpy().T
    rows["label"] = labels.numpy()
    return base64.urlsafe_b64encode(rows.tobytes()).decode()


def unpack(text: str) -> tuple[torch.Tensor, torch.Tensor]:
    """What `pack` has packed.

    Raises:
        InputError: a text that holds no points.

    >>> unpack("AID__wE=")[1]
    tensor([1])
    """
    try:
        padded = text + "=" * (-len(text) % 4)
        raw = base64.b64decode(padded, altchars=b"-_", validate=True)
    except (binascii.Error, ValueError):
        raise InputError("points are packed in another way: the text cannot be read") from None
    if len(raw) % BYTES:
        raise InputError(f"points take {BYTES} bytes each; {len(raw)} bytes are no whole number")
    rows = np.frombuffer(raw, _ROW)
    if len(rows) and int(rows["label"].max()) >= CLASSES:
        raise InputError(f"points have classes 0 to {CLASSES - 1}, not {rows['label'].max()}")
    steps = np.stack([rows["x"], rows["y"]], axis=1).astype(np.float64)
    features = torch.from_numpy(steps / STEPS * 2 * REACH - REACH).float()
    return features, torch.from_numpy(rows["label"].astype(np.int64))


_ROW = np.dtype([("x", "<u2"), ("y", "<u2"), ("label", "u1")])


def described() -> list[dict[str, Any]]:
    """The generated data sets, with what can be changed of each.

    >>> [each["name"] for each in described()][:3]
    ['xor', 'moons', 'circles']
    """
    rows = []
    for name in PLANE:
        usual = inspect.signature(TOYS[name]).parameters
        noise = NOISE.get(name, "noise")
        row = {
            "name": name,
            "about": describe(name),
            "noise": {
                "label": "misplaced points" if noise == "wrong" else "noise",
                "default": usual[noise].default,
                "low": 0.001 if noise == "wrong" else 0.0,
                "high": HIGHEST.get(name, 2.0 if name == "blobs" else 0.5),
            },
        }
        if name in KINDS:
            kinds = {"default": usual[KINDS[name]].default, "low": 2, "high": CLASSES}
            row["classes"] = kinds
        rows.append(row)
    return rows
