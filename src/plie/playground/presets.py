"""What one would like to see first: settings with a title, one row each."""

from __future__ import annotations

from typing import Any

PRESETS: list[dict[str, Any]] = [
    {
        "title": "The lecture's slide",
        "about": "XOR with identity, sigmoid, ReLU and SiLU: without a bend the boundary stays "
        "straight.",
        "settings": {
            "hidden": [50],
            "networks": [["identity"], ["sigmoid"], ["relu"], ["silu"]],
        },
    },
    {
        "title": "Vanishing gradients",
        "about": "Six layers of sigmoid, tanh and ReLU on the moons: compare their gradients.",
        "settings": {
            "data": {"name": "moons", "n": 400, "seed": 0},
            "hidden": [8] * 6,
            "networks": [["sigmoid"] * 6, ["tanh"] * 6, ["relu"] * 6],
        },
    },
    {
        "title": "Dying ReLU",
        "about": "Too large a learning rate kills ReLU units; leaky ReLU keeps their gradient.",
        "settings": {
            "data": {"name": "circles", "n": 400, "seed": 0},
            "hidden": [16, 16],
            "networks": [["relu"] * 2, ["leaky_relu"] * 2],
            "optimizer": "sgd",
            "lr": 3.0,
        },
    },
    {
        "title": "Spirals",
        "about": "A hard boundary: which functions wind around it?",
        "settings": {
            "data": {"name": "spirals", "n": 600, "seed": 0},
            "hidden": [16, 16],
            "networks": [["relu"] * 2, ["tanh"] * 2, ["sin"] * 2],
        },
    },
    {
        "title": "Adversarial training",
        "about": "Points move within ε before each update; the boundary keeps its distance.",
        "settings": {
            "data": {"name": "moons", "n": 400, "seed": 0},
            "hidden": [32, 32],
            "networks": [["relu"] * 2, ["silu"] * 2],
            "eps": 0.15,
        },
    },
]
