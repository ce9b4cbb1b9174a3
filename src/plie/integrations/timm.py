"""The zoo in timm, where ``act_layer="…"`` finds its activations."""

from __future__ import annotations

from plie import zoo


def register() -> list[str]:
    """Let timm's ``create_act_layer`` and ``create_model(act_layer=…)`` find the whole zoo by name.

    Functions of a vector are left out. Names that timm has keep its meaning.

    Returns:
        the names that are new.

    >>> from plie.integrations import timm
    >>> "tanh_exp" in timm.register()  # doctest: +SKIP
    True
    """
    from timm.layers import create_act

    new = []
    for name, row in zoo.rows().items():
        if row.is_scalar and name not in create_act._ACT_LAYER_DEFAULT:
            create_act._ACT_LAYER_DEFAULT[name] = row.module
            create_act._ACT_FN_DEFAULT.setdefault(name, row)
            new.append(name)
    return sorted(new)
