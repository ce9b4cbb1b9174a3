"""What a model of transformers says of itself: its configuration names its activations."""

from __future__ import annotations

import copy
import sys
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import torch
from torch import nn

from plie.recognise import activation_of

if TYPE_CHECKING:
    from plie.activation import Activation


def _config(model: nn.Module) -> Any:
    """The model's configuration, if it is one of transformers."""
    config = getattr(model, "config", None)
    return config if _is_config(config) else None


def _is_config(thing: Any) -> bool:
    library = sys.modules.get("transformers")
    return library is not None and isinstance(thing, library.PreTrainedConfig)


def settings_of(model: nn.Module, news: Mapping[int, Activation]) -> dict[str, str]:
    """What the configuration is to say once its activations are replaced.

    Args:
        model: as it is before.
        news: what replaces each module, by the module's id.

    Returns:
        setting → name, of those all of whose modules are replaced by one and the same. The name
        is known to transformers from here on, in this process.
    """
    config = _config(model)
    if config is None:
        return {}
    from transformers.activations import ACT2FN

    from plie.integrations.transformers import register_one

    said: dict[str, str] = {}
    for setting, value in config.to_dict().items():
        if "act" not in setting or not isinstance(value, str) or value not in ACT2FN:
            continue
        kind = type(ACT2FN[value])
        made = [news.get(id(module)) for module in model.modules() if type(module) is kind]
        if made and made[0] is not None and all(new == made[0] for new in made):
            said[setting] = register_one(made[0])
    return said


def tell(model: nn.Module, settings: Mapping[str, str]) -> list[str]:
    """Write the settings into the model's configuration, and see what it would make of them.

    Returns:
        a sentence for each activation that a model made from the configuration has otherwise.
    """
    if settings:
        _have_own(model)
    config = _config(model)
    if config is None:
        return []
    for setting, name in settings.items():
        setattr(config, setting, name)
    again: Any = type(config).from_dict(config.to_dict())
    kind: Any = type(model)
    try:
        with torch.device("meta"):
            made = kind(again)
    except Exception as error:  # whatever a model needs beside its configuration
        return [f"whether a reloaded {kind.__name__} keeps its activations is not known: {error}"]
    theirs = _labels(made)
    return [
        f"a reloaded {kind.__name__} will have {theirs.get(name)} at {name}, not {label}: its "
        "configuration cannot say so"
        for name, label in _labels(model).items()
        if theirs.get(name) != label
    ]


def _have_own(model: nn.Module) -> None:
    """Give the model a configuration of its own: another may have been made from the same one."""
    copies: dict[int, Any] = {}
    copy.deepcopy(model.config, copies)
    for module in model.modules():
        for key, value in vars(module).items():
            if _is_config(value) and id(value) in copies:
                vars(module)[key] = copies[id(value)]


def _labels(model: nn.Module) -> dict[str, str]:
    found = {name: activation_of(module) for name, module in model.named_modules()}
    return {name: act.label for name, act in found.items() if act is not None}
