"""A frame: everything that moves on the page, as one short message of bytes."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from plie.diagnosis.counter import MOSTLY, WEAK, steepest
from plie.models import in_evaluation
from plie.playground.history import Measured, finite
from plie.playground.settings import KEPT
from plie.training.measures import hits
from plie.units import value_and_slope

if TYPE_CHECKING:
    from plie.activation import Activation
    from plie.playground.player import Network, Player

SMALL = 24  # cells of a unit's map, along each side
TIMES = 3
SIDE = TIMES * SMALL  # of a network's own map
SHOWN = 32  # units of a layer
BINS = 40
DRAWN = 300  # points of an unbroken curve
CENSUS = 512  # points that units are counted on


class Painter:
    """Makes frames of a player; what they share, the points of the maps, is made once."""

    def __init__(self, player: Player) -> None:
        self.player = player
        self.grid = grid(player.extent)
        self.sent, self._thinned = 0, 0  # rows of the history

    def settings(self, restarted: bool) -> dict[str, Any]:
        """What a page is told when the settings are taken: all that does not move."""
        player = self.player
        features = torch.cat([player.points.features, player.held.features])
        labels = torch.cat([player.points.labels, player.held.labels])
        apart = [0] * len(player.points) + [1] * len(player.held)
        acts = player.settings.activations()
        texts = dict(zip(sum(player.settings.networks, ()), sum(acts, ()), strict=True))
        return {
            "kind": "settings",
            "settings": player.settings.as_json(),
            "restarted": restarted,
            "points": {"x": _rounded(features), "y": labels.tolist(), "test": apart},
            "extent": player.extent,
            "classes": list(player.points.class_names),
            "names": list(player.points.feature_names),
            "labels": [[act.label for act in network] for network in acts],
            "curves": {text: curves(act) for text, act in texts.items()},
            "sizes": list(player.settings.sizes(player.classes)),
            "shown": [min(size, SHOWN) for size in player.settings.hidden],
        }

    def frame(self, **more: Any) -> bytes:
        """The networks as they are now, with the rows of the history that were not sent yet."""
        player, body = self.player, bytearray()
        told = [self._network(network, body) for network in player.networks]
        rows = [each.pop("measured") for each in told]
        player.history.add(player.step, rows)
        if player.history.thinned != self._thinned:
            self.sent, self._thinned = 0, player.history.thinned
        start, self.sent = self.sent, len(player.history)
        header = {
            "step": player.step,
            "epoch": round(player.epoch, 3),
            "side": SIDE,
            "small": SMALL,
            **more,
            "networks": told,
            "history": player.history.since(start),
            "from": start,
        }
        text = json.dumps(header, separators=(",", ":"), allow_nan=False).encode()
        return len(text).to_bytes(4, "little") + text + bytes(body)

    def _network(self, network: Network, body: bytearray) -> dict[str, Any]:
        model, player = network.model, self.player
        with torch.no_grad(), in_evaluation(model):
            inside, logits = _through(model, self.grid)
            seen = player.points.features
            losses, shares = zip(
                *(
                    _score(model, part.features, part.labels)
                    for part in (player.points, player.held)
                ),
                strict=True,
            )
            census = [_census(*layer) for layer in _layers(model, seen[:CENSUS])]
        linear, gradients = network.linear, network.gradients()
        return {
            "measured": Measured(losses, shares, tuple(gradients)),
            "loss": [finite(loss) for loss in losses],
            "accuracy": list(shares),
            "gradient": [finite(size) for size in gradients],
            "dead": [dead for dead, _, _ in census],
            "saturated": [saturated for _, saturated, _ in census],
            "histogram": [counts for _, _, counts in census],
            "bias": [_rounded(layer.bias.detach()) for layer in linear],
            "scale": [finite(float(layer.weight.detach().abs().max())) for layer in linear],
            "grid": _put(body, _shades(logits)),
            "units": [_put(body, _signed(_small(layer))) for layer in inside],
            "weights": [_put(body, _signed(layer.weight.detach())) for layer in linear],
            "diverged": not math.isfinite(losses[0]),
        }


def grid(extent: Sequence[float]) -> Tensor:
    """The middles of the map's cells ``(side², 2)``, in rows from the top.

    >>> grid((-1, 1, -1, 1))[0]
    tensor([-0.9861,  0.9861])
    """
    left, right, bottom, top = extent
    middle = (torch.arange(SIDE, dtype=torch.float64) + 0.5) / SIDE
    xs, ys = left + (right - left) * middle, top - (top - bottom) * middle
    return torch.cartesian_prod(ys, xs).flip(1).float()


@lru_cache(KEPT)
def curves(act: Activation) -> dict[str, Any]:
    """An activation and its derivative over its window, None where a line must be broken.

    >>> import plie
    >>> found = curves(plie.get("relu"))
    >>> found["label"], found["f"][0], found["slope"][-1]
    ('relu', 0.0, 1.0)
    """
    from plie.curve import curve, values
    from plie.display import formula_text

    found: dict[str, list[float | None]] = {"x": [], "f": [], "slope": []}
    for x, slope in curve(act, 1).pieces:  # which are broken wherever f is
        keep = sorted({*range(0, len(x), max(1, len(x) // DRAWN)), len(x) - 1})
        columns = {"x": x[keep], "f": values(act, x[keep]), "slope": slope[keep]}
        for name, column in columns.items():
            found[name] += [*([None] if found[name] else []), *map(finite, column.tolist())]
    return {"label": act.label, "formula": formula_text(act), **found}


def warm(act: Activation) -> None:
    """Compile what a frame needs of an activation."""
    with torch.no_grad():
        value_and_slope(torch.linspace(-1, 1, 8), act.module())
    steepest(act)


def _through(model: nn.Module, x: Tensor) -> tuple[list[Tensor], Tensor]:
    """What the hidden layers and the last one say."""
    inside = []
    for layer in model.layers:  # type: ignore[union-attr]
        x = layer(x)
        if not isinstance(layer, nn.Linear):
            inside.append(x)
    return inside, x


def _layers(model: nn.Module, x: Tensor) -> list[tuple[Tensor, Tensor, float]]:
    """Of each hidden layer: pre-activations, the derivative there, and its largest size."""
    found = []
    for layer in model.layers:  # type: ignore[union-attr]
        if isinstance(layer, nn.Linear):
            x = layer(x)
            continue
        before = x
        x, slope = value_and_slope(before, layer)
        found.append((before, slope.abs(), steepest(layer.activation)))
    return found


def _census(
    before: Tensor, slope: Tensor, largest: float
) -> tuple[list[int], list[int], dict[str, Any]]:
    """Dead units, saturated ones, and how the pre-activations are distributed."""
    dead = (slope == 0).all(0)
    weak = (slope < WEAK * largest).double().mean(0)
    saturated = (weak >= MOSTLY) & ~dead
    inputs = before[before.isfinite()]
    low, high = (float(inputs.min()), float(inputs.max())) if len(inputs) else (0.0, 0.0)
    counts = torch.histc(inputs, BINS, low, high) if low < high else torch.zeros(BINS)
    histogram = {"low": finite(low), "high": finite(high), "counts": counts.int().tolist()}
    return dead.nonzero()[:, 0].tolist(), saturated.nonzero()[:, 0].tolist(), histogram


def _score(model: nn.Module, x: Tensor, y: Tensor) -> tuple[float, float]:
    """Mean cross-entropy, and the share of points that are right."""
    logits = model(x)
    right = hits(logits, y).double().mean()
    return float(nn.functional.cross_entropy(logits, y)), round(float(right), 4)


def _shades(logits: Tensor) -> bytes:
    """Two bytes a cell: a class, and its probability; class 1 where there are two."""
    probability = logits.softmax(1)
    if logits.shape[1] == 2:
        best, label = probability[:, 1], torch.ones(len(logits))
    else:
        best, label = probability.max(1)
    cells = torch.stack([label.float(), best.nan_to_num(0.5) * 255], dim=1)
    return bytes(cells.round().to(torch.uint8).numpy().tobytes())


def _small(layer: Tensor) -> Tensor:
    """Every third cell of the first units' values, ``(units, small²)``."""
    whole = layer[:, :SHOWN].T.view(-1, SIDE, SIDE)
    return whole[:, TIMES // 2 :: TIMES, TIMES // 2 :: TIMES].flatten(1)


def _signed(values: Tensor) -> bytes:
    """Signed bytes, in units of the largest value."""
    values = values.nan_to_num(0, 0, 0)
    largest = float(values.abs().max()) or 1.0
    return bytes((values / largest * 127).round().to(torch.int8).numpy().tobytes())


def _put(body: bytearray, part: bytes) -> list[int]:
    place = [len(body), len(part)]
    body += part
    return place


def _rounded(values: Tensor) -> Any:
    return [
        [finite(v) for v in row] if isinstance(row, list) else finite(row)
        for row in values.tolist()
    ]
