"""The zoo in transformers' ``ACT2FN``, where configurations find their activations."""

from __future__ import annotations

from typing import TYPE_CHECKING

from plie import zoo
from plie.recognise import activation_of

if TYPE_CHECKING:
    from plie.activation import Activation

OURS = "plie_"  # before names that transformers has for something else


def register(*specs: str | Activation) -> list[str]:
    """Let configurations name every elementwise function of the zoo, and ``specs``.

    To be called before a model is loaded whose configuration names one, once in each process.

    Args:
        *specs: further ones, such as ``"softplus:beta=10"``, or your own.

    Returns:
        the names that are new. Where transformers has a name itself, its meaning stays, and ours
        is found under ``plie_`` and the name.

    Raises:
        UnknownNameError: for a spec that is not known.

    >>> from plie.integrations import transformers
    >>> "tanh_exp" in transformers.register()  # doctest: +SKIP
    True
    """
    from transformers.activations import ACT2FN

    before = set(ACT2FN)
    for name, row in zoo.rows().items():
        if row.is_scalar:
            ACT2FN.setdefault(f"{OURS}{name}" if name in before else name, row.module)
    for spec in specs:
        register_one(zoo.get(spec))
    return sorted(set(ACT2FN) - before)


def register_one(activation: Activation) -> str:
    """The name under which transformers finds this activation; it is registered if it was not.

    Args:
        activation: at any values of its parameters.
    """
    from transformers.activations import ACT2FN

    name = spec_of(activation)
    for known in (name, OURS + name):
        if known not in ACT2FN:
            ACT2FN[known] = activation.module
        host = activation_of(ACT2FN[known])
        if host is not None and host.label == activation.label:
            return known
    ACT2FN[OURS + name] = activation.module
    return OURS + name


def spec_of(activation: Activation) -> str:
    """Its name, with the values that differ from the zoo's.

    >>> spec_of(zoo.get("elu", alpha=2))
    'elu:alpha=2.0'
    """
    row = zoo.rows().get(activation.name)
    usual = {} if row is None else row.values
    changed = [f"{k}={v!r}" for k, v in activation.values.items() if v != usual.get(k)]
    return f"{activation.name}:{','.join(changed)}" if changed else activation.name
