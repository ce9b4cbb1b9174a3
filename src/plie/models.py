"""Networks in plain PyTorch: a multilayer perceptron in both of its usual styles."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import contextmanager
from itertools import pairwise
from typing import TYPE_CHECKING, Literal

import torch
from torch import Tensor, nn

from plie.algebra import symbol
from plie.errors import DTypeError, InputError, unknown
from plie.source import activation_source
from plie.zoo import get

if TYPE_CHECKING:
    from collections.abc import Iterator

    from plie.activation import Activation

Style = Literal["module", "sequential"]
Norm = Literal["batch", "layer"]
Init = Literal["torch", "gain"]

NORMS: dict[str, type[nn.Module]] = {"batch": nn.BatchNorm1d, "layer": nn.LayerNorm}
INITS = ("torch", "gain")


@contextmanager
def in_evaluation(model: nn.Module, modules: Sequence[nn.Module] | None = None) -> Iterator[None]:
    """Evaluation mode; afterwards every submodule is in the mode it was in.

    Args:
        model: the whole.
        modules: all of its modules, where they are known: to find them takes a while.

    >>> layer = nn.Dropout()
    >>> with in_evaluation(layer):
    ...     print(layer.training, torch.is_grad_enabled())
    False True
    """
    modules = list(model.modules()) if modules is None else modules
    modes = [module.training for module in modules]
    model.eval()
    try:
        yield
    finally:
        for module, mode in zip(modules, modes, strict=True):
            module.training = mode


@contextmanager
def evaluating(model: nn.Module) -> Iterator[None]:
    """Evaluation mode without gradients; afterwards every submodule is in the mode it was in.

    >>> layer = nn.Dropout()
    >>> with evaluating(layer):
    ...     print(layer.training, torch.is_grad_enabled())
    False False
    >>> layer.training
    True
    """
    with in_evaluation(model), torch.no_grad():
        yield


class Classifier(nn.Module):
    """What returns logits, and probabilities apart from them."""

    out_features: int

    def predict_proba(self, x: Tensor) -> Tensor:
        """Probabilities, apart from training: softmax of the logits, sigmoid of a single one.

        Computed without gradients and in evaluation mode; the mode is restored afterwards.

        Args:
            x: inputs, as the network takes them.

        >>> MLP(2, [4], 3).predict_proba(torch.zeros(5, 2)).sum(dim=1)
        tensor([1., 1., 1., 1., 1.])
        """
        with evaluating(self):
            logits: Tensor = self(x)
            return logits.sigmoid() if self.out_features == 1 else logits.softmax(dim=-1)


class MLP(Classifier):
    """Multilayer perceptron: ``logits = W_L f(… f(W_1 x + b_1) …) + b_L``.

    The linear layers are made in order with torch's own initialisation and nothing between them
    draws a random number, so that under one ``torch.manual_seed`` the parameters equal those of
    the same network written by hand with ``nn.Linear``.

    Args:
        in_features: number of features d of an input of shape ``(*, d)``.
        hidden: units of each hidden layer, ``50`` for ``[50]``; empty for none.
        out_features: number of logits k, one per class; 1 for a single logit of two classes.
        activation: a name or spec (``"softplus:beta=10"``) or an `Activation`, for all hidden
            layers or one for each.
        norm: ``"batch"`` or ``"layer"`` for a normalisation before each activation.
        dropout: share of hidden units dropped in training, after each activation.
        init: ``"torch"`` for torch's own initialisation; ``"gain"`` for normal weights that keep
            the variance, of deviation ``facts.gain/√n`` where n activations come in, and zero
            biases. The first layer's n features pass no activation: 1/√n.

    Returns (on call):
        logits of shape ``(*, k)``. Probabilities are made apart, by `predict_proba`.

    Raises:
        InputError: sizes that are not positive whole numbers, a wrong number of activations, an
            activation of a vector, or an input with another number of features.
        UnknownNameError: an activation that is not known.

    >>> torch.manual_seed(0)  # doctest: +ELLIPSIS
    <torch._C.Generator ...>
    >>> MLP(2, [50], 2, "relu")(torch.zeros(3, 2)).shape
    torch.Size([3, 2])
    """

    def __init__(
        self,
        in_features: int,
        hidden: int | Sequence[int] = (50,),
        out_features: int = 2,
        activation: str | Activation | Sequence[str | Activation] = "relu",
        *,
        norm: Norm | None = None,
        dropout: float = 0.0,
        init: Init = "torch",
    ) -> None:
        super().__init__()
        self.hidden = (hidden,) if isinstance(hidden, int) else tuple(hidden)
        sizes = [in_features, *self.hidden, out_features]
        _check_sizes(sizes)
        self.in_features, self.out_features = in_features, out_features
        self.activations = _one_per_layer(activation, len(self.hidden))
        _check_options(norm, dropout, init)
        self.norm, self.dropout, self.init = norm, dropout, init
        linear = [nn.Linear(a, b) for a, b in pairwise(sizes)]
        if init == "gain":
            _keep_variance(linear, self.activations)
        hidden_layers = zip(linear, self.activations, strict=False)
        between = [module for each in hidden_layers for module in self._hidden_layer(*each)]
        self.layers = nn.Sequential(*between, linear[-1])

    def _hidden_layer(self, linear: nn.Linear, act: Activation) -> list[nn.Module]:
        made: list[nn.Module] = [linear]
        if self.norm is not None:
            made.append(NORMS[self.norm](linear.out_features))
        made.append(act.module())
        return made + [nn.Dropout(self.dropout)] * (self.dropout > 0)

    def forward(self, x: Tensor) -> Tensor:
        """The logits, of shape ``(*, out_features)``."""
        check_input(x, self.in_features)
        logits: Tensor = self.layers(x)
        return logits

    def to_source(self, style: Style = "module") -> str:
        """The same network as plain PyTorch, in either of the two usual styles.

        Args:
            style: ``"module"`` for layers in the constructor and calls in ``forward``,
                ``"sequential"`` for one ``nn.Sequential``. Both bind the name the class or the
                model: ``MLP`` and ``model``.

        Raises:
            InputError: another style.

        >>> print(MLP(2, [50], 2).to_source("sequential"))
        from torch import nn
        <BLANKLINE>
        model = nn.Sequential(
            nn.Linear(2, 50),
            nn.ReLU(),
            nn.Linear(50, 2),
        )
        <BLANKLINE>
        """
        writers = {"module": _module_source, "sequential": _sequential_source}
        if style not in writers:
            raise InputError(f"unknown style '{style}'; allowed: 'module', 'sequential'")
        body = writers[style](self._layer_sources())
        imports = "import plie\nfrom torch import nn" if "plie." in body else "from torch import nn"
        return f"{imports}\n{body}"

    def _layer_sources(self) -> list[tuple[str, str]]:
        """(name, expression) of every layer, in order."""
        rows: list[tuple[str, str]] = []
        sizes = [self.in_features, *self.hidden, self.out_features]
        for i, act in enumerate(self.activations, start=1):
            rows.append((f"linear_{i}", f"nn.Linear({sizes[i - 1]}, {sizes[i]})"))
            if self.norm is not None:
                rows.append((f"norm_{i}", f"nn.{NORMS[self.norm].__name__}({sizes[i]})"))
            rows.append((f"activation_{i}", activation_source(act)))
            if self.dropout > 0:
                rows.append((f"dropout_{i}", f"nn.Dropout({self.dropout})"))
        return [*rows, ("linear_out", f"nn.Linear({sizes[-2]}, {sizes[-1]})")]


class LogisticRegression(MLP):
    """Logistic regression: the perceptron without hidden layers, ``logits = W x + b``.

    >>> print(LogisticRegression(2, 2).layers)
    Sequential(
      (0): Linear(in_features=2, out_features=2, bias=True)
    )
    """

    def __init__(self, in_features: int, out_features: int = 2) -> None:
        super().__init__(in_features, (), out_features)


def is_linear(mlp: MLP) -> bool:
    """Whether every activation is the identity, so that the network is one linear map."""
    return all(map(is_identity, mlp.activations))


def is_identity(act: Activation) -> bool:
    """Whether the formula is x however it is written, and no parameter can be learned.

    >>> is_identity(get("identity")), is_identity(get("relu"))
    (True, False)
    """
    return not act.training and act.as_formula(act.learnable).expr() == symbol("x")


def collapse(mlp: MLP) -> nn.Linear:
    """The one linear layer that an identity MLP is: ``W = W_L … W_1``, ``b = W_L(… b_1 …) + b_L``.

    Returns:
        a float64 ``nn.Linear``, computed in float64 from the network's parameters.

    Raises:
        InputError: an activation of the network is not the identity.

    >>> collapse(MLP(2, [50], 2, "identity"))
    Linear(in_features=2, out_features=2, bias=True)
    """
    if not is_linear(mlp):
        bent = next(act.name for act in mlp.activations if not is_identity(act))
        raise InputError(f"only a network of identities is one linear map; this one has '{bent}'")
    layers = [layer for layer in mlp.layers if isinstance(layer, nn.Linear)]
    weight, bias = affine(layers[0])
    for layer in layers[1:]:
        weight, bias = composed((weight, bias), affine(layer))
    return linear(weight.cpu(), bias.cpu())


def affine(layer: nn.Linear) -> tuple[Tensor, Tensor]:
    """A layer's weight and bias in float64, zero where it has no bias.

    >>> affine(nn.Linear(2, 3, bias=False))[1]
    tensor([0., 0., 0.], dtype=torch.float64)
    """
    weight = layer.weight.detach().double()
    bias = weight.new_zeros(len(weight)) if layer.bias is None else layer.bias.detach().double()
    return weight, bias


def composed(first: tuple[Tensor, Tensor], second: tuple[Tensor, Tensor]) -> tuple[Tensor, Tensor]:
    """The affine map that does one after the other: ``(W₂W₁, W₂b₁ + b₂)``.

    Args:
        first: a matrix and a bias, as is ``second``.
        second: that takes what comes out of it.

    >>> one = torch.eye(2), torch.ones(2)
    >>> composed(one, one)[1]
    tensor([2., 2.])
    """
    return second[0] @ first[0], second[0] @ first[1] + second[1]


def linear(weight: Tensor, bias: Tensor) -> nn.Linear:
    """A layer with these values; on ``meta`` first, so that making it draws no random numbers.

    >>> linear(torch.eye(2), torch.zeros(2))
    Linear(in_features=2, out_features=2, bias=True)
    """
    out_features, in_features = weight.shape
    layer = nn.Linear(in_features, out_features, dtype=weight.dtype, device="meta")
    layer.load_state_dict({"weight": weight, "bias": bias}, assign=True)
    return layer


def _keep_variance(linear: Sequence[nn.Linear], acts: Sequence[Activation]) -> None:
    gains = [1.0, *(gain_of(act) for act in acts)]
    for layer, gain in zip(linear, gains, strict=True):
        nn.init.normal_(layer.weight, std=gain / layer.in_features**0.5)
        nn.init.zeros_(layer.bias)


def gain_of(act: Activation) -> float:
    """The activation's gain as an initialisation can use it.

    Raises:
        InputError: where E f(z)² is zero or infinite.

    >>> round(gain_of(get("relu")), 4)
    1.4142
    """
    gain = act.facts.gain
    if not 0 < gain < float("inf"):
        raise InputError(f"'{act.label}' has no gain to initialise by; use init='torch'")
    return gain


def _check_options(norm: str | None, dropout: float, init: str) -> None:
    if norm is not None and norm not in NORMS:
        raise unknown("norm", str(norm), list(NORMS))
    if init not in INITS:
        raise unknown("init", str(init), INITS)
    if not 0 <= dropout < 1:
        raise InputError(f"dropout is a share from 0 to below 1, not {dropout}")


def _check_sizes(sizes: Sequence[int]) -> None:
    for size in sizes:
        if not isinstance(size, int) or isinstance(size, bool) or size < 1:
            raise InputError(f"a layer needs a positive whole number of units, not {size!r}")


def check_input(x: Tensor, features: int) -> None:
    """Raises `DTypeError` or `InputError` unless ``x`` is what a network of ``features`` takes.

    >>> check_input(torch.zeros(3, 2), 2)
    """
    if not isinstance(x, Tensor):
        raise DTypeError(f"a network takes a torch.Tensor, not {type(x).__name__}")
    if not x.is_floating_point():
        raise DTypeError(f"a network needs a floating-point tensor, not {x.dtype}; use x.float()")
    if x.ndim == 0 or x.shape[-1] != features:
        raise InputError(f"this network takes {features} features, not shape {tuple(x.shape)}")


class CNN(Classifier):
    """A small convolutional network: each convolution halves height and width.

    Convolutions of 4 × 4 pixels with stride 2, an activation after each, then a perceptron on
    what is left: the network for MNIST of Wong & Kolter (arXiv:1711.00851).

    Args:
        image_shape: ``(channels, height, width)`` or ``(height, width)``.
        channels: of each convolution.
        hidden: units of the hidden layers behind them.
        out_features: number of logits k.
        activation: a name or spec or an `Activation`, for all layers or one for each.

    Returns (on call):
        logits ``(n, k)``, for images ``(n, channels, height, width)`` or flat rows of them.

    Raises:
        InputError: sizes that are no positive whole numbers, images too small for the
            convolutions, or an input of another shape.
        UnknownNameError: an activation that is not known.

    >>> CNN((28, 28), [16, 32], [100], 10, "silu")(torch.zeros(3, 784)).shape
    torch.Size([3, 10])
    """

    def __init__(
        self,
        image_shape: Sequence[int],
        channels: Sequence[int] = (16, 32),
        hidden: int | Sequence[int] = (100,),
        out_features: int = 10,
        activation: str | Activation | Sequence[str | Activation] = "relu",
    ) -> None:
        super().__init__()
        self.image_shape = (1, *image_shape) if len(image_shape) == 2 else tuple(image_shape)
        self.channels = tuple(channels)
        self.hidden = (hidden,) if isinstance(hidden, int) else tuple(hidden)
        self.out_features = out_features
        _check_sizes([*self.image_shape, *self.channels, *self.hidden, out_features])
        depth = len(self.channels)
        if len(self.image_shape) != 3 or min(self.image_shape[1:]) < 2**depth:
            raise InputError(
                f"{depth} convolutions that halve an image take (channels, height, width) of at "
                f"least {2**depth} pixels, not {tuple(image_shape)}"
            )
        acts = self.activations = _one_per_layer(activation, depth + len(self.hidden))
        layers: list[nn.Module] = []
        first, height, width = self.image_shape
        for before, after, act in zip((first, *self.channels), self.channels, acts, strict=False):
            layers += [nn.Conv2d(before, after, 4, stride=2, padding=1), act.module()]
        left = (self.channels[-1] if depth else first) * (height >> depth) * (width >> depth)
        layers.append(nn.Flatten())
        sizes = pairwise([left, *self.hidden])
        for (before, after), act in zip(sizes, acts[depth:], strict=True):
            layers += [nn.Linear(before, after), act.module()]
        layers.append(nn.Linear([left, *self.hidden][-1], out_features))
        self.layers = nn.Sequential(*layers)

    @property
    def in_features(self) -> int:
        """Numbers of an image."""
        channels, height, width = self.image_shape
        return channels * height * width

    def forward(self, x: Tensor) -> Tensor:
        """The logits, of shape ``(n, out_features)``."""
        if isinstance(x, Tensor) and x.ndim == 4 and tuple(x.shape[1:]) == self.image_shape:
            x = x.flatten(1)
        check_input(x, self.in_features)
        logits: Tensor = self.layers(x.view(-1, *self.image_shape))
        return logits


def _one_per_layer(
    given: str | Activation | Sequence[str | Activation], layers: int
) -> tuple[Activation, ...]:
    if isinstance(given, str) or not isinstance(given, Sequence):
        given = [given] * layers
    if len(given) != layers:
        raise InputError(f"{len(given)} activations given for {layers} hidden layers")
    return tuple(_scalar(get(each)) for each in given)


def _scalar(act: Activation) -> Activation:
    if not act.is_scalar:
        raise InputError(f"'{act.name}' is a function of a vector; a hidden layer needs one of x")
    return act


def _sequential_source(layers: list[tuple[str, str]]) -> str:
    body = "".join(f"    {expression},\n" for _, expression in layers)
    return f"\nmodel = nn.Sequential(\n{body})\n"


def _module_source(layers: list[tuple[str, str]]) -> str:
    made = "".join(f"        self.{name} = {expression}\n" for name, expression in layers)
    used = "".join(f"        x = self.{name}(x)\n" for name, _ in layers[:-1])
    return (
        "\n\nclass MLP(nn.Module):\n"
        "    def __init__(self):\n"
        f"        super().__init__()\n{made}\n"
        f"    def forward(self, x):\n{used}"
        f"        return self.{layers[-1][0]}(x)\n"
    )
