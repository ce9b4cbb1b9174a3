"""What leaves the playground: code, a study, a figure, a dance; and an attack on a point."""

from __future__ import annotations

import base64
import copy
import io
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from plie.attack.gradient import PGD
from plie.models import MLP, evaluating, gain_of, in_evaluation
from plie.playground.history import finite
from plie.playground.points import DRAWN
from plie.playground.settings import STEPS, scalar
from plie.source import has_spec, spec
from plie.training.measures import hits

if TYPE_CHECKING:
    from collections.abc import Iterator

    from plie.attack.gradient import Gradient
    from plie.data import Dataset
    from plie.playground.player import Network, Player
    from plie.playground.settings import Settings

PROBED = 10  # steps of PGD that a hovering pointer shows
STUDY_SEEDS = 10
DANCERS = 4
READABLE = 80  # characters of a formula that still dances its derivative
HEAD = '''"""Made by the playground of Plié."""

import plie
import torch
from torch import nn

torch.set_num_threads(1)  # networks of this size gain nothing from more
'''


def probe(player: Player, index: int, x: list[float], eps: float, norm: str) -> dict[str, Any]:
    """Where PGD takes a point, step by step, away from the class that the network sees there.

    Args:
        player: with the networks.
        index: of the network.
        x: the point.
        eps: radius of the ball.
        norm: it is measured in.

    Returns:
        ``path``, the points from the first on, probabilities ``before`` and ``after``, and the
        ``class`` of both.
    """
    model = player.networks[index].model
    point = torch.tensor([x], dtype=torch.float32)
    with in_evaluation(model):
        before = model.predict_proba(point)[0]
        label = before.argmax()[None]
        here, path, length = point, [point], 2.5 * eps / PROBED
        attack = PGD(eps, steps=1, step_size=length, norm=norm, random_start=False, bounds=None)

        def gone(_: Tensor) -> Tensor:
            return here - point

        for _ in range(PROBED if eps > 0 else 0):
            here = attack.perturb(model, point, label, start=gone)  # on from where the last ended
            path.append(here)
        after = model.predict_proba(here)[0]
    return {
        "path": [[finite(v) for v in row[0].tolist()] for row in path],
        "before": [finite(p) for p in before.nan_to_num(0).tolist()],
        "after": [finite(p) for p in after.nan_to_num(0).tolist()],
        "class": [int(label), int(after.argmax())],
    }


# --- code ---------------------------------------------------------------------------------------


def code(player: Player) -> str:
    """PyTorch code that makes and trains the page's networks again, to the same weights.

    It does so bit for bit, but for torch's own functions, which stand for ours and differ in the
    last digit; and where something was changed in training, it says when.
    """
    parts = [
        HEAD,
        _data_code(player),
        *(_changed_note(player) if player.altered else ()),
        *(_network_code(player, network) for network in player.networks),
    ]
    return "\n".join(parts)


def _changed_note(player: Player) -> list[str]:
    steps = ", ".join(map(str, player.altered[:8]))
    return [
        f"# On the page settings were changed after updates {steps}. Here the last ones hold\n"
        "# from the beginning, and the weights become others.\n"
    ]


def _data_code(player: Player) -> str:
    settings, data = player.settings, player.settings.data
    if data.name == DRAWN:
        points = data.dataset()
        rows = [[float(f"{v:.9g}") for v in row] for row in points.features.tolist()]
        made = (
            f"points = plie.data.Dataset(\n"
            f"    torch.tensor({rows}),\n"
            f"    torch.tensor({points.labels.tolist()}),\n"
            f"    {points.feature_names!r},\n"
            f"    {points.class_names!r},\n"
            f"    {DRAWN!r},\n"
            f")\n"
        )
    else:
        given = ", ".join(f"{name}={value!r}" for name, value in data.arguments().items())
        made = f"points = plie.data.{data.name}({given})\n"
    return made + (
        f"train, _, test = points.split(\n"
        f"    validation=0, test={settings.test!r}, seed={data.seed}, scale=False\n"
        f")\n"
        f"x, y = train.features, train.labels\n"
    )


def _network_code(player: Player, network: Network) -> str:
    settings, model = player.settings, network.model
    source = model.to_source("sequential").split("\n\n", 1)[1]
    title = " – ".join(act.label for act in model.activations) or "no hidden layer"
    optimizer, adversary = _optimizer_code(player), network.adversary
    lines = [
        f"# --- {title}",
        f"torch.manual_seed({settings.seed})",
        source.rstrip(),
        *_init_code(model),
        f"optimizer = {optimizer}",
        *_adversary_code(adversary, settings.seed),
        f"order = torch.Generator().manual_seed({settings.seed})",
        "updates = 0",
        f"while updates < {player.step}:",
        f"    for rows in torch.randperm(len(y), generator=order).split({settings.batch}):",
        f"        if updates == {player.step}:",
        "            break",
        "        batch, labels = x[rows], y[rows]",
    ]
    if adversary is not None:
        lines.append("        batch = adversary.perturb(model, batch, labels, noise)")
    lines.append("        loss = nn.functional.cross_entropy(model(batch), labels)")
    if network.lasso:
        weights = "m.weight.abs().sum() for m in model if isinstance(m, nn.Linear)"
        lines.append(f"        loss = loss + {network.lasso!r} * torch.stack([{weights}]).sum()")
    lines += [
        "        optimizer.zero_grad()",
        "        loss.backward()",
        "        optimizer.step()",
        "        updates += 1",
        "right = (model(test.features).argmax(1) == test.labels).double().mean()",
        'print(f"test accuracy {right:.1%}")',
        "",
    ]
    return "\n".join(lines)


def _init_code(model: MLP) -> list[str]:
    if model.init != "gain":
        return []
    gains = [1.0, *(gain_of(act) for act in model.activations)]
    return [
        "layers = [layer for layer in model if isinstance(layer, nn.Linear)]",
        f"for layer, gain in zip(layers, {gains}):",
        "    nn.init.normal_(layer.weight, std=gain / layer.in_features**0.5)",
        "    nn.init.zeros_(layer.bias)",
    ]


def _optimizer_code(player: Player) -> str:
    recipe = player.settings.recipe()
    name = {"sgd": "SGD", "adam": "Adam", "adamw": "AdamW"}[recipe.optimizer]
    return (
        f"torch.optim.{name}(\n    model.parameters(), lr={recipe.rate!r}, "
        f"weight_decay={recipe.decay!r}, fused=True\n)"
    )


def _adversary_code(adversary: Gradient | None, seed: int) -> list[str]:
    if adversary is None:
        return []
    steps = f", steps={adversary.count}" if isinstance(adversary, PGD) else ""
    return [
        f"adversary = plie.attack.{type(adversary).__name__}("
        f"{adversary.eps!r}{steps}, norm={adversary.norm!r}, bounds=None)",
        f"noise = torch.Generator().manual_seed({seed})",
    ]


# --- a study ------------------------------------------------------------------------------------


def study(player: Player) -> dict[str, Any]:
    """A study of the page's activations: YAML for ``plie study``, and the points as a CSV file.

    The points go along, since what a page generates has a noise and a number of its own. Each
    network's activations become candidates where all of its layers have the same one.
    """
    import yaml

    settings = player.settings
    alike = [network for network in player.networks if len(set(network.model.activations)) == 1]
    acts = list(dict.fromkeys(_text(network) for network in alike))
    words: dict[str, Any] = {
        "data": "points.csv",
        "target": "class",
        "act": acts or ["identity"],
        "hidden": list(settings.hidden),
        "optimizer": settings.optimizer,
        "lr": settings.lr,
        "batch-size": settings.batch,
        "epochs": max(1, round(player.epoch)) if player.step else 100,
        "init": settings.init,
        "test": settings.test,
        "seeds": STUDY_SEEDS,
        "seed": settings.seed,
        "no-scale": True,
    }
    if settings.regularisation == "l2":
        words["weight-decay"] = settings.strength
    if settings.eps:
        attack = {"pgd": f"pgd-{STEPS}"}.get(settings.attack, settings.attack)
        words["adversary"] = f"{attack}:eps={settings.eps!r},norm={settings.norm}"
    text = yaml.safe_dump(words, sort_keys=False, allow_unicode=True)
    left = len(player.networks) - len(alike)
    return {
        "text": text,
        "name": "study.yaml",
        "command": "plie study study.yaml",
        "files": {"study.yaml": text, "points.csv": _csv(player)},
        "note": "" if not left else f"{left} networks of mixed activations are left out",
    }


def _text(network: Network) -> str:
    act = network.model.activations[0]
    return spec(act) if has_spec(act) else act.formula


def _csv(player: Player) -> str:
    names = ",".join([*player.points.feature_names, "class"])
    return "\n".join([names, *_rows(player.points), *_rows(player.held), ""])


def _rows(part: Dataset) -> Iterator[str]:
    for (a, b), label in zip(part.features.tolist(), part.labels.tolist(), strict=True):
        yield f"{a!r},{b!r},class {part.class_names[label]}"


# --- a figure -----------------------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class Snapshot:
    """A network as it is at one moment, with the points it learns from."""

    model: nn.Module
    points: Dataset
    title: str

    @staticmethod
    def of(player: Player, index: int) -> Snapshot:
        """A copy of one of the networks."""
        model = copy.deepcopy(player.networks[index].model)
        labels = dict.fromkeys(act.label for act in model.activations)
        points = player.points
        with evaluating(model):
            right = hits(model(player.held.features), player.held.labels).double().mean()
        name = ", ".join(labels) or "logistic regression"
        return Snapshot(model, points, f"{name}: {float(right):.1%} of test points")

    def figure(self, form: str, dark: bool = False) -> dict[str, Any]:
        """The decision boundary as a file, ``"png"`` or ``"svg"``, for a light or a dark page."""
        from plie.boundary import evaluate
        from plie.figures import any_script, boundary_figure
        from plie.plot import THEMES

        palette = THEMES["dark" if dark else "light"]
        drawn = boundary_figure(evaluate(self.model, self.points), self.points, self.title, palette)
        file = io.BytesIO()
        with any_script():
            drawn.savefig(file, format=form, dpi=200, facecolor=palette.paper)
        raw = file.getvalue()
        return {
            "kind": "figure",
            "format": form,
            "name": f"plie.{form}",
            "base64": base64.b64encode(raw).decode(),
        }


# --- a dance ------------------------------------------------------------------------------------


def dance(settings: Settings, dark: bool = False) -> dict[str, Any]:
    """The networks' activations, dancing, as SVG: the first four of them.

    Without a hidden layer there is only the identity to dance.

    >>> from plie.playground.settings import Settings
    >>> dance(Settings())["names"]
    ['ReLU']
    """
    from plie.dancing.show import dance as danced

    texts = list(dict.fromkeys(sum(settings.networks, ()))) or ["identity"]
    acts = [scalar(text) for text in texts[:DANCERS]]
    # the derivative of a long formula is longer still, and nobody could read it
    short = all(len(act.formula) <= READABLE for act in acts)
    drawn = danced(*acts, theme="dark" if dark else "light", derivative=short)
    return {
        "kind": "dance",
        "names": [act.title or act.label for act in acts],
        "svg": drawn.to_svg(),
    }
