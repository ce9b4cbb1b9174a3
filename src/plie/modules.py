"""Activations as ``nn.Module``: one class serves every scalar row of the zoo."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from plie.compiled.ops import apply, call, require_float
from plie.errors import ParameterError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from plie.activation import Activation, Parameter


class Layer(nn.Module):
    """A layer of one activation. What it does not learn is an attribute, as in torch's layers.

    An attribute that is set is checked, and the layer computes with it from then on.

    >>> import plie
    >>> layer = plie.get("leaky_relu", negative_slope=0.2).module()
    >>> layer.negative_slope
    0.2
    >>> layer.negative_slope = 0.3
    >>> layer
    LeakyReLU(negative_slope=0.3)
    """

    activation: Activation
    learned: tuple[str, ...] = ()

    def _take(self, activation: Activation, others: Mapping[str, Any] | None = None) -> None:
        """Compute this activation from now on; ``others`` are attributes beside its values."""
        values = {k: v for k, v in activation.values.items() if k not in self.learned}
        mine = self.__dict__.get("_settings", ())
        settings = {
            name: value
            for name, value in {**values, **(others or {})}.items()
            if name in mine or not (name in self.__dict__ or hasattr(type(self), name))
        }
        # Plain attributes, not looked up in the activation: a compiler reads them at once.
        self.__dict__.update(settings, activation=activation, _settings=tuple(settings))

    def _set(self, name: str, value: Any) -> None:
        self._take(self.activation.with_parameters(**{name: value}))

    def __setattr__(self, name: str, value: Any) -> None:
        if name not in self.__dict__.get("_settings", ()):
            super().__setattr__(name, value)
        elif isinstance(value, Tensor):
            raise ParameterError(
                f"{self._get_name()}: {name} is not learned here, so it is set to a number, not "
                "to a tensor"
            )
        else:
            self._set(name, value)

    def _get_name(self) -> str:
        return self.activation.title


class ActivationModule(Layer):
    """A scalar activation as a layer.

    Learnable parameters are ``nn.Parameter`` of shape ``(num_parameters,)``, one for the
    whole layer or one per channel (dimension 1 of the input, as in ``nn.PReLU``). The value
    used always lies in the parameter's allowed range; outside it the gradient still flows,
    so that training can come back.

    Args:
        activation: the definition.
        num_parameters: 1, or the number of channels.
        learnable: names of the parameters to learn; None takes the definition's own.
        inplace: write the result over the input.
        device, dtype: of the learnable parameters.
    """

    def __init__(
        self,
        activation: Activation,
        num_parameters: int = 1,
        *,
        learnable: Iterable[str] | bool | None = None,
        inplace: bool = False,
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
    ) -> None:
        super().__init__()
        if not isinstance(num_parameters, int) or num_parameters < 1:
            raise ParameterError(
                f"num_parameters must be a whole number of at least 1, not {num_parameters!r}"
            )
        self.num_parameters = num_parameters
        self.inplace = inplace
        self.learned = _learned(activation, learnable)
        self._take(activation)
        for parameter in activation.parameters:
            if parameter.name in self.learned:
                start = float(parameter.default)
                value = torch.full((num_parameters,), start, device=device, dtype=dtype)
                self.register_parameter(parameter.name, nn.Parameter(value))

    def _take(self, activation: Activation, others: Mapping[str, Any] | None = None) -> None:
        super()._take(activation, others)
        # As text, made once: a compiler could not trace how it is made.
        self._spec = activation.as_formula(self.learned).spec
        noisy = activation.training and activation.as_formula((*self.learned, "u"), training=True)
        self._noisy_spec = noisy.spec if noisy else ""

    def forward(self, input: Tensor) -> Tensor:  # noqa: A002 - torch's own name
        """f(input), elementwise; shape, dtype and device are kept."""
        if not (self.learned or self._noisy_spec or self.inplace):
            return call(input, self._spec, "")
        require_float(input)
        if not self.inplace:
            return self._value(input)
        # The gradient needs the input's old values, so they are kept aside.
        return input.copy_(self._value(input.clone()))

    def _value(self, x: Tensor) -> Tensor:
        learned = [self._bounded(p, x) for p in self._learned_parameters()]
        if self.training and self._noisy_spec:
            return apply(x, [*learned, torch.rand_like(x)], self._noisy_spec, "")
        return apply(x, learned, self._spec, "")

    def _learned_parameters(self) -> list[Parameter]:
        return [p for p in self.activation.parameters if p.name in self.learned]

    def _bounded(self, parameter: Parameter, x: Tensor) -> Tensor:
        value: Tensor = getattr(self, parameter.name)
        low, high = parameter.closed_range()
        if low > -float("inf") or high < float("inf"):
            if value.device.type != "mps":  # which has no float64
                value = value.double()  # a 16-bit value would round back onto an excluded bound
            # The clamped value exactly; the difference is zero and carries the gradient.
            value = value.detach().clamp(low, high) + (value - value.detach())
        if self.num_parameters == 1:
            return value.reshape(())
        if x.dim() < 2 or x.shape[1] != self.num_parameters:
            raise ParameterError(
                f"{self.activation.title} has num_parameters={self.num_parameters}, one per "
                f"channel (dimension 1), but the input has shape {tuple(x.shape)}"
            )
        return value.reshape(-1, *(1,) * (x.dim() - 2))

    def extra_repr(self) -> str:
        """The values the layer was made with, and its options."""
        parts = [f"{p.name}={p.default:g}" for p in self.activation.parameters]
        if self.num_parameters != 1:
            parts.append(f"num_parameters={self.num_parameters}")
        return ", ".join([*parts, *(["inplace=True"] if self.inplace else [])])


def _learned(activation: Activation, learnable: Iterable[str] | bool | None) -> tuple[str, ...]:
    names = [p.name for p in activation.parameters]
    if learnable is None:
        return activation.learnable
    if isinstance(learnable, bool):
        return tuple(names) if learnable else ()
    chosen = {learnable} if isinstance(learnable, str) else set(learnable)
    for name in sorted(chosen - set(names)):
        activation.parameter(name)  # raises, naming what is allowed
    return tuple(name for name in names if name in chosen)
