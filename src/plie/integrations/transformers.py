"""The zoo in transformers' ``ACT2FN``, and `plie.watch` as a callback of its trainer."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from plie import zoo
from plie.integrations.watched import Watched, made_for
from plie.recognise import activation_of

if TYPE_CHECKING:
    from torch import nn

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


# --- trained ------------------------------------------------------------------------------------


def __getattr__(name: str) -> Any:
    # What it is derived from takes seconds to load, and nothing else here needs it.
    if name != "WatchCallback":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from transformers import TrainerCallback

    return made_for(_WatchCallback, TrainerCallback)


class _WatchCallback(Watched):
    """Count dead, saturated and linear units while transformers trains, as `plie.watch` does.

    The numbers of each sample go to ``trainer.state.log_history`` at its step, as an entry of
    their own. What reports elsewhere is not told: that is what ``csv``, ``tensorboard`` and
    ``log`` are for. Of several processes the first writes what it saw of its own batches.
    transformers says nothing of a training that ends in an error: then call ``close``.

    Args:
        every: batches from one sample to the next.
        csv: a file for the numbers, as in `plie.watch`.
        tensorboard: a folder for TensorBoard, or a writer with ``add_scalar``.
        log: called after each sample with its step and its numbers by name, such as ``"dead/1"``.

    Attributes:
        watch: what was seen, with ``to_frame``, ``plot`` and ``diagnosis``.

    Raises:
        InputError: ``every`` is no positive whole number.

    >>> from plie.integrations.transformers import WatchCallback  # doctest: +SKIP
    >>> trainer = Trainer(model, arguments, callbacks=[WatchCallback(every=50)])  # doctest: +SKIP
    """

    def on_train_begin(self, args: Any, state: Any, control: Any, **given: Any) -> None:  # noqa: ARG002
        """Watch the model."""
        model: nn.Module = given["model"]
        self.begin(model, writes=state.is_world_process_zero)

    def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:  # noqa: ARG002
        """Add to the trainer's history what samples since the last step found."""
        if news := self.news():
            state.log_history.append({**news, "epoch": state.epoch, "step": state.global_step})

    def on_train_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:  # noqa: ARG002
        """Leave nothing on the model."""
        self.close()


if TYPE_CHECKING:

    class WatchCallback(_WatchCallback, Any):  # type: ignore[misc]
        """A `TrainerCallback`."""
