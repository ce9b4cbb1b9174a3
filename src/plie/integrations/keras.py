"""The zoo in Keras on torch, where ``activation="…"`` finds its activations."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from plie import zoo
from plie.errors import InputError
from plie.integrations.transformers import OURS, spec_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from plie.activation import Activation


def register(*specs: str | Activation) -> list[str]:
    """Let layers of Keras name every elementwise function of the zoo, and ``specs``.

    To be called before a model is loaded that names one, once in each process. Values that could
    be learned are the zoo's: Keras takes functions, and ``keras.layers.TorchModuleWrapper`` layers
    of `plie.nn`, which learn.

    Args:
        *specs: further ones, such as ``"softplus:beta=10"``, or your own.

    Returns:
        the names that are new. Where Keras has a name itself, its meaning stays, and ours is found
        under ``plie_`` and the name.

    Raises:
        InputError: Keras runs on something else than torch.
        UnknownNameError: for a spec that is not known.

    >>> from plie.integrations import keras
    >>> "tanh_exp" in keras.register()  # doctest: +SKIP
    True
    """
    import keras
    from keras.src.activations import ALL_OBJECTS_DICT

    if keras.backend.backend() != "torch":
        raise InputError(
            f"Keras runs on {keras.backend.backend()}, and Plié on torch: set KERAS_BACKEND=torch "
            "in the environment before Keras is imported"
        )
    wanted = [row for row in zoo.rows().values() if row.is_scalar]
    wanted += [zoo.get(spec) for spec in specs]
    new = []
    for activation in wanted:
        name = spec_of(activation)
        name = OURS + name if _is_theirs(ALL_OBJECTS_DICT.get(name)) else name
        if name not in ALL_OBJECTS_DICT:
            function = _function(name, activation)
            ALL_OBJECTS_DICT[name] = function
            # by which a model that was saved finds it
            keras.saving.register_keras_serializable("plie", name)(function)
            new.append(name)
    return sorted(new)


def _is_theirs(function: Any) -> bool:
    return function is not None and function.__module__ != __name__


def _function(name: str, activation: Activation) -> Callable[[Any], Any]:
    """Keras stores functions by their names."""

    def function(x: Any) -> Any:
        return activation(x)

    function.__name__ = function.__qualname__ = name
    return function
