# ruff: noqa: N803 (scikit-learn names the features X)
"""scikit-learn's perceptrons with every activation of Plié, trained by Plié.

They go where scikit-learn's estimators go: pipelines, grid searches, cross-validation, pickles.

>>> from sklearn.datasets import load_iris
>>> model = MLPClassifier((16,), "mish", random_state=0)
>>> model.fit(*load_iris(return_X_y=True)).score(*load_iris(return_X_y=True)) > 0.9
True
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from numbers import Integral, Real
from typing import TYPE_CHECKING, Any, ClassVar, Self

import numpy as np
import torch
from sklearn.base import BaseEstimator, ClassifierMixin, RegressorMixin
from sklearn.model_selection import train_test_split
from sklearn.utils import check_random_state
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import _check_sample_weight, check_is_fitted, column_or_1d
from torch import Tensor
from torch.func import functional_call

from plie.errors import InputError, unknown
from plie.many import Networks
from plie.models import MLP, evaluating
from plie.recipe import OPTIMIZERS, SCHEDULES, Recipe
from plie.source import activation_of
from plie.stacked import draws
from plie.training import History, fit

try:
    from sklearn.utils.validation import validate_data
except ImportError:  # a method until scikit-learn 1.6

    def validate_data(estimator: Any, *data: Any, **checks: Any) -> Any:
        """The data as arrays, checked; number and names of the features are the estimator's."""
        return estimator._validate_data(*data, **checks)


if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

    from plie.activation import Activation
    from plie.models import Init, Norm

Points = tuple[Tensor, Tensor, Tensor | None]

_SHARE = "in [0, 1)", lambda v: 0 <= v < 1
_POSITIVE = "above 0", lambda v: v > 0
_NUMBERS: dict[str, tuple[str, Callable[[float], bool]]] = {
    "alpha": ("0 or more", lambda v: v >= 0),
    "learning_rate_init": _POSITIVE,
    "momentum": _SHARE,
    "beta_1": _SHARE,
    "beta_2": _SHARE,
    "epsilon": _POSITIVE,
    "validation_fraction": ("between 0 and 1", lambda v: 0 < v < 1),
    "dropout": _SHARE,
}
_COUNTS = ("max_iter", "n_iter_no_change")
_SWITCHES = ("nesterovs_momentum", "early_stopping", "warm_start")


@dataclass(frozen=True)
class _Resumed(Recipe):
    """A recipe whose optimiser goes on from the state that an earlier one left."""

    state: defaultdict[Tensor, Any] = field(default_factory=lambda: defaultdict(dict))

    def make_optimizer(
        self, parameters: Any, *, fused: bool | None = None
    ) -> torch.optim.Optimizer:
        made = super().make_optimizer(parameters, fused=fused)
        made.state = self.state
        return made


class _Perceptron(BaseEstimator):  # type: ignore[misc]
    """What the classifier and the regressor have in common."""

    n_features_in_: int
    network_: MLP
    loss_curve_: list[float]
    validation_scores_: list[float] | None
    best_validation_score_: float | None
    t_: int
    _moments: dict[str, defaultdict[Tensor, Any]]

    def __init__(
        self,
        hidden_layer_sizes: int | Sequence[int] = (100,),
        activation: str | Activation | Sequence[str | Activation] = "relu",
        *,
        solver: str = "adam",
        alpha: float = 0.0001,
        batch_size: int | str = "auto",
        learning_rate: str = "constant",
        learning_rate_init: float = 0.001,
        max_iter: int = 200,
        random_state: Any = None,
        warm_start: bool = False,
        momentum: float = 0.9,
        nesterovs_momentum: bool = True,
        early_stopping: bool = False,
        validation_fraction: float = 0.1,
        n_iter_no_change: int = 10,
        beta_1: float = 0.9,
        beta_2: float = 0.999,
        epsilon: float = 1e-8,
        norm: Norm | None = None,
        dropout: float = 0.0,
        init: Init = "torch",
    ) -> None:
        self.hidden_layer_sizes = hidden_layer_sizes
        self.activation = activation
        self.solver = solver
        self.alpha = alpha
        self.batch_size = batch_size
        self.learning_rate = learning_rate
        self.learning_rate_init = learning_rate_init
        self.max_iter = max_iter
        self.random_state = random_state
        self.warm_start = warm_start
        self.momentum = momentum
        self.nesterovs_momentum = nesterovs_momentum
        self.early_stopping = early_stopping
        self.validation_fraction = validation_fraction
        self.n_iter_no_change = n_iter_no_change
        self.beta_1 = beta_1
        self.beta_2 = beta_2
        self.epsilon = epsilon
        self.norm = norm
        self.dropout = dropout
        self.init = init

    def fit(self, X: ArrayLike, y: ArrayLike, sample_weight: ArrayLike | None = None) -> Self:
        """Train a new network, or with ``warm_start`` the one there is.

        Args:
            X: features ``(n, d)``.
            y: classes ``(n,)``, or targets ``(n,)`` or ``(n, k)``.
            sample_weight: of each point in its batch's mean loss, ``(n,)``.

        Raises:
            ValueError: parameters or data that cannot train anything, or training that ends in
                parameters that are not finite.
        """
        goes_on = bool(self.warm_start) and self.__sklearn_is_fitted__()
        if self.__sklearn_is_fitted__() and not goes_on:
            del self.network_  # should this fail, nothing old meets something new
        points = self._read(X, y, sample_weight, new=not goes_on)
        seed = self._seed()
        points, held = self._divide(points, seed)
        n = len(points[0])
        recipe = Recipe(epochs=int(self.max_iter), **self._settings(n, points[2]))
        networks = Networks.of([self._same_network()]) if goes_on else self._new(seed)
        if recipe.batch_size is None and _is_exact(networks.perceptron):
            points = _merged(*points)
        x, target, weight = points
        (history,) = networks.fit(x, target, recipe, seeds=[seed], weight=weight, validation=held)
        self._moments = {}
        return self._keep(networks[0], history, n, new=not goes_on)

    def _partial_fit(self, X: Any, y: Any, sample_weight: Any, classes: Any = None) -> Self:
        if self.early_stopping:
            raise InputError("partial_fit takes early_stopping=False: it holds no points back")
        new = not self.__sklearn_is_fitted__()
        x, target, weight = self._read(X, y, sample_weight, new=new, classes=classes)
        seed = self._seed()
        if new:
            network, seen = self._new(seed)[0], 0
            self._moments = {}
        else:
            network, seen = self._same_network(), len(self.loss_curve_)
        state = self._moments.setdefault(self.solver, defaultdict(dict))
        recipe = _Resumed(epochs=1, state=state, **self._settings(len(x), weight))
        # each call shuffles in its own way
        history = fit(network, x, target, recipe, seed=seed + seen, weight=weight)
        return self._keep(network, history, len(x), new=new)

    def _keep(self, network: MLP, history: History, n: int, *, new: bool) -> Self:
        """What training has come to, if it has come to anything."""
        if not all(p.isfinite().all() for p in network.parameters()):
            raise InputError(
                f"training has diverged with learning_rate_init={self.learning_rate_init}; "
                "take a smaller one, or scale the features"
            )
        if new:
            self.loss_curve_, self.validation_scores_, self.t_ = [], None, 0
        self.network_ = network
        self.loss_curve_ += history.loss
        self.loss_, self.n_iter_ = history.loss[-1], len(history.loss)
        self.t_ += n * self.n_iter_
        self.best_validation_score_ = None
        if history.validation_score:
            self.validation_scores_ = [*(self.validation_scores_ or []), *history.validation_score]
            self.best_validation_score_ = history.validation_score[history.best]
        return self

    # --- the data -------------------------------------------------------------------------------

    def _read(
        self, X: Any, y: Any, sample_weight: Any, *, new: bool, classes: Any = None
    ) -> Points:
        self._check_parameters()
        # what is too large for float32 is refused as infinite
        with np.errstate(over="ignore"):
            x, y = validate_data(self, X, y, dtype=np.float32, reset=new, **self._takes)
        weight = None
        if sample_weight is not None:
            w = _check_sample_weight(sample_weight, x)
            if w.min() < 0 or w.max() == 0:
                raise InputError(
                    "every sample_weight is zero or more, and not all are zero; "
                    f"those given range from {w.min()} to {w.max()}"
                )
            weight = torch.tensor(w, dtype=torch.float32)
        # copied, since torch takes no array that is read only
        return torch.tensor(x), self._target(y, new, classes), weight

    def _divide(self, points: Points, seed: int) -> tuple[Points, tuple[Tensor, Tensor] | None]:
        """The points to train on, and with early stopping those held back."""
        if not self.early_stopping:
            return points, None
        x, y, weight = points
        rows, rest = train_test_split(
            np.arange(len(x)),
            test_size=float(self.validation_fraction),
            random_state=seed,
            stratify=None if y.is_floating_point() else y.numpy(),
        )
        if len(rest) < 2:
            raise InputError(
                f"validation_fraction={self.validation_fraction} of {len(x)} points holds back "
                f"{len(rest)}; early stopping takes 2 or more"
            )
        return (x[rows], y[rows], None if weight is None else weight[rows]), (x[rest], y[rest])

    def _outputs(self, X: Any) -> Tensor:
        check_is_fitted(self)
        kinds = (np.float64, np.float32)
        x = torch.tensor(validate_data(self, X, dtype=kinds, reset=False))
        network = self.network_
        state = {k: t.to(x.dtype) for k, t in network.state_dict().items()}
        with evaluating(network):
            made: Tensor = functional_call(network, state, (x,))
            return made

    # --- the parameters -------------------------------------------------------------------------

    def _check_parameters(self) -> None:
        for name, (rule, holds) in _NUMBERS.items():
            value = getattr(self, name)
            real = isinstance(value, Real) and math.isfinite(float(value))
            if not real or not holds(value):
                raise InputError(f"{name} is a number {rule}, not {value!r}")
        for name in _COUNTS:
            _whole(name, getattr(self, name))
        for name in _SWITCHES:
            if not isinstance(getattr(self, name), (bool, np.bool_)):
                raise InputError(f"{name} is True or False, not {getattr(self, name)!r}")
        for name, allowed in (("solver", OPTIMIZERS), ("learning_rate", SCHEDULES)):
            if getattr(self, name) not in allowed:
                raise unknown(name, str(getattr(self, name)), allowed)

    def _seed(self) -> int:
        """The random state itself if it is a number: the network is then torch's of that seed."""
        state = check_random_state(self.random_state)
        if isinstance(self.random_state, Integral):
            return int(self.random_state)
        return int(state.randint(np.iinfo(np.int32).max))

    def _settings(self, n: int, weight: Tensor | None) -> dict[str, Any]:
        """The recipe's fields, apart from its epochs, for n points."""
        auto = isinstance(self.batch_size, str) and self.batch_size == "auto"
        size = min(n, 200 if auto else _whole("batch_size other than 'auto'", self.batch_size))
        share = 1.0 if weight is None else weight.double().mean().item()
        alpha = float(self.alpha)
        momentum = float(self.momentum) if self.solver == "sgd" else 0.0
        return {
            "lr": float(self.learning_rate_init),
            "batch_size": size if size < n else None,
            "optimizer": self.solver,
            "momentum": momentum,
            "nesterov": bool(self.nesterovs_momentum and momentum > 0),
            "betas": (float(self.beta_1), float(self.beta_2)),
            "eps": float(self.epsilon),
            "weight_decay": alpha if self.solver == "adamw" else alpha / (size * share),
            "schedule": self.learning_rate,
            "patience": int(self.n_iter_no_change) if self.early_stopping else None,
        }

    def _design(self) -> dict[str, Any]:
        sizes = self.hidden_layer_sizes
        sizes = list(sizes) if np.iterable(sizes) else [sizes]
        hidden = tuple(_whole("each of hidden_layer_sizes", size) for size in sizes)
        given: Any = self.activation
        each = given if isinstance(given, (list, tuple)) else [given] * len(hidden)
        acts = tuple(activation_of(act) for act in each)
        return {"hidden": hidden, "activation": acts, "norm": self.norm, "dropout": self.dropout}

    def _new(self, seed: int) -> Networks:
        sizes = {"in_features": self.n_features_in_, "out_features": self._units}
        return Networks.seeded([seed], **sizes, **self._design(), init=self.init)

    def _same_network(self) -> MLP:
        """The network that there is, if it is what the parameters say."""
        net, asked = self.network_, self._design()
        has = {"hidden": net.hidden, "activation": net.activations, "norm": net.norm}
        for name, value in (has | {"dropout": net.dropout}).items():
            if asked[name] != value:
                name = "hidden_layer_sizes" if name == "hidden" else name
                raise InputError(
                    f"{name}={getattr(self, name)!r} is not what the trained network has; "
                    "fit with warm_start=False makes a new one"
                )
        return net

    # --- what there is after training -----------------------------------------------------------

    def __sklearn_is_fitted__(self) -> bool:
        return hasattr(self, "network_")

    @property
    def coefs_(self) -> list[NDArray[np.float32]]:
        """The weights of each linear layer, ``(inputs, outputs)``."""
        return [layer.weight.detach().numpy().T for layer in _linear(self.network_)]

    @property
    def intercepts_(self) -> list[NDArray[np.float32]]:
        """The biases of each linear layer."""
        return [layer.bias.detach().numpy() for layer in _linear(self.network_)]

    @property
    def n_layers_(self) -> int:
        """The layers, with that of the features."""
        return len(self.network_.hidden) + 2

    @property
    def n_outputs_(self) -> int:
        """The outputs: one for two classes, one for each of more, one for each target."""
        return self.network_.out_features

    # --- what differs ---------------------------------------------------------------------------

    _takes: ClassVar[dict[str, Any]] = {}
    _units: int
    out_activation_: str

    def _target(self, y: Any, new: bool, classes: Any) -> Tensor:
        """The classes as numbers, or the targets; of new ones it says what network they take."""
        raise NotImplementedError


class MLPClassifier(ClassifierMixin, _Perceptron):  # type: ignore[misc]
    """Classifier like scikit-learn's, with every activation of Plié.

    It minimises the cross-entropy of a softmax, or with two classes of the sigmoid of one output.
    Training computes in float32, whatever the data; probabilities are computed in float32 of
    float32 features, else in float64. The compiled library trains what has neither ``norm`` nor
    ``dropout`` nor an activation that is random in training.

    What differs from scikit-learn: it trains for all of ``max_iter`` epochs unless
    ``early_stopping`` is asked for, so there is no ``tol`` and nothing warns of non-convergence;
    the solvers, the learning rate's schedules and the initialisation are `plie.recipe.Recipe`'s
    and `plie.MLP`'s; ``alpha`` is for biases and learned slopes too; ``loss_`` is without it.

    Args:
        hidden_layer_sizes: units of each hidden layer; ``()`` for none, ``50`` for ``(50,)``.
        activation: a name or spec (``"softplus:beta=10"``), a formula (``"x*tanh(exp(x))"``) or
            an `Activation`, for all hidden layers; or a list of one for each.
        solver: ``"sgd"``, ``"adam"`` or ``"adamw"``.
        alpha: weight of the penalty ``alpha/2·|θ|²``, divided by the points of a batch (by their
            weights' sum) and added to its mean loss; for AdamW the decay itself.
        batch_size: points per update; ``"auto"`` for 200, or all if there are fewer.
        learning_rate: its schedule over the epochs: ``"constant"``, ``"linear"``, ``"cosine"`` or
            ``"step"``.
        learning_rate_init: the full learning rate.
        max_iter: epochs, at most.
        random_state: of the parameters, the order of batches and the points held back. With a
            number, the network starts as the one made after ``torch.manual_seed`` of it.
        warm_start: whether `fit` goes on with the network of the last one, with a new optimiser.
        momentum: of SGD.
        nesterovs_momentum: whether SGD looks ahead.
        early_stopping: whether to hold points back, to stop when the loss on them (without
            weights) has had no new minimum for ``n_iter_no_change`` epochs, and to go back to
            the parameters of that minimum.
        validation_fraction: share of the points that early stopping holds back.
        n_iter_no_change: its patience.
        beta_1: decay of Adam's mean gradient.
        beta_2: decay of Adam's mean squared gradient.
        epsilon: added to Adam's denominator.
        norm: ``"batch"`` or ``"layer"`` for a normalisation before each activation.
        dropout: share of hidden units dropped in training.
        init: ``"torch"``, or ``"gain"`` for weights drawn by the activation's gain.

    Attributes:
        network_: the trained `plie.MLP`.
        classes_: sorted, as in the columns of the probabilities.
        coefs_: the weights of each linear layer, ``(inputs, outputs)``.
        intercepts_: the biases of each linear layer.
        loss_curve_: mean loss in each epoch, before its updates.
        loss_: the last of them.
        n_iter_: epochs of the last call.
        t_: points that training has seen in all.
        validation_scores_: accuracy on the points held back after each epoch, or None.
        best_validation_score_: that of the parameters kept, or None.
        n_features_in_, feature_names_in_, n_layers_, n_outputs_, out_activation_: as
            scikit-learn has them.

    >>> from sklearn.datasets import load_iris
    >>> x, y = load_iris(return_X_y=True)
    >>> net = MLPClassifier(16, "gelu", learning_rate_init=0.01, random_state=0).fit(x, y)
    >>> net.score(x, y) > 0.95, net.predict_proba(x[:2]).shape
    (True, (2, 3))
    """

    classes_: NDArray[Any]

    def partial_fit(
        self,
        X: ArrayLike,
        y: ArrayLike,
        sample_weight: ArrayLike | None = None,
        classes: ArrayLike | None = None,
    ) -> Self:
        """Train one epoch on these points; the optimiser goes on from the last such call.

        After `fit` the optimiser starts anew. The learning rate has no schedule.

        Args:
            X: features ``(n, d)``.
            y: classes ``(n,)``.
            sample_weight: of each point in its batch's mean loss, ``(n,)``.
            classes: all there will be; needed in the first call.

        Raises:
            ValueError: as `fit`; or a first call without classes, or classes that change.
        """
        if self.__sklearn_is_fitted__():
            if classes is not None and not np.array_equal(np.unique(classes), self.classes_):
                raise InputError(
                    f"classes={_shown(np.unique(classes))} differ from those of the first call, "
                    f"{_shown(self.classes_)}"
                )
        elif classes is None:
            raise InputError("the first call of partial_fit takes all classes: classes=[…]")
        return self._partial_fit(X, y, sample_weight, classes)

    def predict(self, X: ArrayLike) -> NDArray[Any]:
        """The class ``(n,)`` of the largest probability.

        Args:
            X: features ``(n, d)``.
        """
        rows = self._logits(X).argmax(dim=1).numpy()
        predicted: NDArray[Any] = self.classes_[rows]
        return predicted

    def predict_proba(self, X: ArrayLike) -> NDArray[np.floating[Any]]:
        """Probabilities ``(n, k)``, in the order of ``classes_``.

        Args:
            X: features ``(n, d)``.
        """
        return self._logits(X).softmax(dim=1).numpy()

    def predict_log_proba(self, X: ArrayLike) -> NDArray[np.floating[Any]]:
        """Logarithms of the probabilities ``(n, k)``, finite where these are too small.

        Args:
            X: features ``(n, d)``.
        """
        return self._logits(X).log_softmax(dim=1).numpy()

    def _logits(self, X: Any) -> Tensor:
        """One for each class: the sigmoid of z is the softmax of 0 and z."""
        made = self._outputs(X)
        return torch.cat([torch.zeros_like(made), made], dim=1) if made.shape[1] == 1 else made

    def _target(self, y: Any, new: bool, classes: Any) -> Tensor:
        check_classification_targets(y)
        if new:
            self.classes_ = np.unique(y if classes is None else classes)
            self._units = len(self.classes_) if len(self.classes_) > 2 else 1
            self.out_activation_ = "logistic" if self._units == 1 else "softmax"
        if len(self.classes_) < 2:
            raise InputError(f"a classifier takes two classes or more; one class is given, {y[0]}")
        strange = np.setdiff1d(y, self.classes_)
        if len(strange):
            raise InputError(f"y has {_shown(strange)}; the classes are {_shown(self.classes_)}")
        return torch.tensor(np.searchsorted(self.classes_, y), dtype=torch.int64)


class MLPRegressor(RegressorMixin, _Perceptron):  # type: ignore[misc]
    """Regressor like scikit-learn's, with every activation of Plié.

    It minimises the mean squared error, twice scikit-learn's loss; of several targets, their
    mean. What else it does, its parameters and its attributes are those of `MLPClassifier`;
    ``validation_scores_`` are R². Targets are taken as they are: far from a deviation of 1, scale
    them by ``sklearn.compose.TransformedTargetRegressor``.

    >>> import numpy as np
    >>> x = np.linspace(-3, 3, 200).reshape(-1, 1)
    >>> net = MLPRegressor(32, "silu", learning_rate_init=0.03, random_state=0)
    >>> net.fit(x, np.sin(x[:, 0])).score(x, np.sin(x[:, 0])) > 0.99
    True
    """

    _takes: ClassVar[dict[str, Any]] = {"multi_output": True, "y_numeric": True}

    def partial_fit(
        self, X: ArrayLike, y: ArrayLike, sample_weight: ArrayLike | None = None
    ) -> Self:
        """Train one epoch on these points; the optimiser goes on from the last such call.

        After `fit` the optimiser starts anew. The learning rate has no schedule.

        Args:
            X: features ``(n, d)``.
            y: targets ``(n,)`` or ``(n, k)``.
            sample_weight: of each point in its batch's mean loss, ``(n,)``.

        Raises:
            ValueError: as `fit`.
        """
        return self._partial_fit(X, y, sample_weight)

    def predict(self, X: ArrayLike) -> NDArray[np.floating[Any]]:
        """Predictions ``(n,)``, or ``(n, k)`` of several targets.

        Args:
            X: features ``(n, d)``.
        """
        made = self._outputs(X).numpy()
        return made[:, 0] if made.shape[1] == 1 else made

    def _target(self, y: Any, new: bool, classes: Any) -> Tensor:  # noqa: ARG002
        if y.ndim == 2 and y.shape[1] == 1:
            y = column_or_1d(y, warn=True)
        units = 1 if y.ndim == 1 else y.shape[1]
        if new:
            self._units, self.out_activation_ = units, "identity"
        if units != self._units:
            raise InputError(f"the network was made for {self._units} targets; y has {units}")
        with np.errstate(over="ignore"):
            target = torch.tensor(y.astype(np.float32))
        if not target.isfinite().all():
            raise InputError(f"y is too large for float32: up to {np.abs(y).max():g}")
        return target

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.target_tags.multi_output = True
        return tags

    def _more_tags(self) -> dict[str, bool]:
        """The tags until scikit-learn 1.6."""
        return {"multioutput": True}


def _linear(network: MLP) -> list[torch.nn.Linear]:
    return [layer for layer in network.layers if isinstance(layer, torch.nn.Linear)]


def _is_exact(network: MLP | None) -> bool:
    """Whether a point's share in a batch's gradient depends on nothing but the point."""
    return network is not None and network.norm != "batch" and not draws(network)


def _merged(x: Tensor, y: Tensor, weight: Tensor | None) -> Points:
    """The same full batch with equal points as one, so that a weight is a repetition to the bit."""
    # in float64, which holds all of float32 and every number of a class
    rows = torch.cat([x.double(), y.double().view(len(y), -1)], dim=1)
    found, place = rows.unique(dim=0, return_inverse=True)
    if weight is None and len(found) == len(rows):
        return x, y, weight
    ones = torch.ones(len(y)) if weight is None else weight
    mass = torch.zeros(len(found)).index_add_(0, place, ones)
    found, mass = found[mass > 0], mass[mass > 0]
    width = x.shape[1]
    return found[:, :width].float(), found[:, width:].to(y.dtype).reshape(-1, *y.shape[1:]), mass


def _whole(name: str, value: Any) -> int:
    if not isinstance(value, Integral) or isinstance(value, bool) or value < 1:
        raise InputError(f"{name} is a whole number of 1 or more, not {value!r}")
    return int(value)


def _shown(classes: NDArray[Any]) -> str:
    """Classes for a message, the first few of many."""
    shown = ", ".join(map(repr, classes[:12].tolist()))
    return shown + (", …" if len(classes) > 12 else "")
