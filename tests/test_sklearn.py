"""The estimators keep scikit-learn's contract, and train what Plié trains."""

import copy
import pickle

import numpy as np
import pandas as pd
import pytest
import scipy.sparse
import sklearn.neural_network
import torch
from sklearn.base import clone
from sklearn.datasets import load_diabetes, load_digits, load_iris
from sklearn.exceptions import DataConversionWarning, NotFittedError
from sklearn.model_selection import GridSearchCV, cross_val_score, train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.estimator_checks import parametrize_with_checks

import plie
from plie.errors import InputError, UnknownNameError
from plie.models import MLP
from plie.recipe import Recipe
from plie.sklearn import MLPClassifier, MLPRegressor
from plie.training import fit

IRIS = load_iris(return_X_y=True)


@parametrize_with_checks([MLPClassifier(), MLPRegressor()])
def test_the_contract_of_estimators(estimator, check):
    check(estimator)


# What no default reaches: normalisation, dropout, batches, and networks that start from a number.
@parametrize_with_checks(
    [
        MLPClassifier(8, "prelu", solver="sgd", batch_size=7, learning_rate="cosine", max_iter=30),
        MLPRegressor(
            (8, 4), norm="layer", solver="adamw", init="gain", learning_rate_init=0.05, max_iter=60
        ),
    ]
)
def test_the_contract_away_from_the_defaults(estimator, check):
    name = getattr(check, "func", check).__name__
    if "sample_weight_equivalence" in name and estimator.batch_size != "auto":
        pytest.skip("a weight is a repetition in full batches only")
    check(estimator)


# --- the same networks --------------------------------------------------------------------------


def regression(k=None):
    generator = np.random.default_rng(0)
    x = generator.normal(size=(60, 3))
    return x, np.sin(x[:, 0]) if k is None else np.sin(x[:, :k])


def trained_by_plie(x, y, units, seed, activation="silu", hidden=(8,), **settings):
    torch.manual_seed(seed)
    network = MLP(x.shape[1], hidden, units, activation)
    target = torch.tensor(y)
    target = target.float() if target.is_floating_point() else target
    history = fit(network, torch.tensor(x).float(), target, Recipe(**settings), seed=seed)
    return network, history


def test_a_classifier_is_the_network_that_plie_trains():
    x, y = IRIS
    net = MLPClassifier(8, "silu", batch_size=16, max_iter=12, alpha=0.08, random_state=3)
    net.set_params(learning_rate="linear", beta_1=0.8, learning_rate_init=0.01).fit(x, y)
    how = {"epochs": 12, "batch_size": 16, "lr": 0.01, "optimizer": "adam", "schedule": "linear"}
    network, history = trained_by_plie(x, y, 3, 3, **how, betas=(0.8, 0.999), weight_decay=0.005)
    assert net.loss_curve_ == pytest.approx(history.loss, rel=1e-4)
    wanted = network.predict_proba(torch.tensor(x).float())
    np.testing.assert_allclose(net.predict_proba(x), wanted, rtol=1e-3, atol=1e-5)
    assert (net.classes_[wanted.argmax(1)] == net.predict(x)).all()


def test_two_classes_have_one_output():
    x, y = IRIS[0][:100], IRIS[1][:100]
    net = MLPClassifier(8, "silu", solver="sgd", max_iter=9, alpha=0, random_state=1).fit(x, y)
    how = {"epochs": 9, "lr": 0.001, "momentum": 0.9, "nesterov": True}
    network, _ = trained_by_plie(x, y, 1, 1, **how)
    wanted = network.predict_proba(torch.tensor(x).float())
    proba = net.predict_proba(x)
    np.testing.assert_allclose(proba[:, 1:], wanted, rtol=1e-4)
    np.testing.assert_allclose(proba.sum(axis=1), 1, rtol=1e-15)
    assert (net.n_outputs_, net.out_activation_) == (1, "logistic")
    assert [c.shape for c in net.coefs_] == [(4, 8), (8, 1)]
    assert [b.shape for b in net.intercepts_] == [(8,), (1,)]


@pytest.mark.parametrize("k", [None, 2])
def test_a_regressor_is_the_network_that_plie_trains(k):
    x, y = regression(k)
    net = MLPRegressor(8, "silu", solver="adamw", alpha=0.3, max_iter=15, random_state=5).fit(x, y)
    how = {"epochs": 15, "optimizer": "adamw", "weight_decay": 0.3, "lr": 0.001}
    network, history = trained_by_plie(x, y, k or 1, 5, **how)
    wanted = network(torch.tensor(x).float()).detach().numpy()
    np.testing.assert_allclose(net.predict(x), wanted.reshape(y.shape), rtol=1e-3, atol=1e-5)
    assert net.loss_ == pytest.approx(history.loss[-1], rel=1e-4)
    assert (net.n_iter_, net.t_, net.n_layers_, net.out_activation_) == (15, 900, 3, "identity")


def test_equal_points_are_one_to_the_bit():
    x, y = IRIS[0], IRIS[1]
    weight = np.random.default_rng(0).integers(0, 4, len(y))
    net = MLPClassifier(8, "gelu", batch_size=1000, random_state=0)
    weighted = clone(net).fit(x, y, sample_weight=weight)
    repeated = clone(net).fit(x.repeat(weight, axis=0), y.repeat(weight))
    for a, b in zip(weighted.coefs_, repeated.coefs_, strict=True):
        assert (a == b).all()
    assert weighted.loss_curve_ == repeated.loss_curve_
    other = clone(net).fit(x, y)
    assert not (weighted.coefs_[0] == other.coefs_[0]).all()


def test_points_of_a_normalised_batch_stay_apart():
    """Each counts in the batch's mean and variance."""
    x, y = (np.concatenate([part, part[:20]]) for part in regression())
    # Adam would make steps of the rounding in the biases, which have no slope before a mean
    net = MLPRegressor(8, norm="batch", solver="sgd", max_iter=5, alpha=0, random_state=0)
    net.set_params(momentum=0, learning_rate_init=0.05).fit(x, y)
    torch.manual_seed(0)
    network = MLP(3, 8, 1, norm="batch")
    points = torch.tensor(x).float(), torch.tensor(y).float()
    fit(network, *points, Recipe(epochs=5, lr=0.05), seed=0)
    mean = network.layers[1].running_mean
    torch.testing.assert_close(net.network_.layers[1].running_mean, mean, rtol=1e-4, atol=1e-6)


def test_weights_of_batches_are_those_of_plie():
    x, y = regression()
    weight = np.random.default_rng(1).uniform(0, 3, len(y))
    net = MLPRegressor(8, "silu", batch_size=16, max_iter=5, alpha=1, random_state=2)
    net.fit(x, y, sample_weight=weight)
    torch.manual_seed(2)
    network = MLP(3, 8, 1, "silu")
    points = torch.tensor(x).float(), torch.tensor(y).float()
    recipe = Recipe(epochs=5, lr=0.001, batch_size=16, optimizer="adam")
    w = torch.tensor(weight).float()
    fit(network, *points, recipe, seed=2, weight=w, weight_decay=1 / (16 * weight.mean()))
    np.testing.assert_allclose(net.coefs_[0].T, network.layers[0].weight.detach(), atol=2e-5)


# --- epoch by epoch -----------------------------------------------------------------------------


@pytest.mark.parametrize("solver", ["sgd", "adam", "adamw"])
def test_epochs_in_calls_are_epochs_in_one(solver):
    """So the optimiser goes on; with full batches there is no order."""
    x, y = IRIS
    net = MLPClassifier(8, "tanh", solver=solver, max_iter=6, random_state=0)
    whole, parts = clone(net).fit(x, y), clone(net)
    for _ in range(6):
        parts.partial_fit(x, y, classes=[0, 1, 2])
    assert parts.loss_curve_ == pytest.approx(whole.loss_curve_, rel=1e-5)
    np.testing.assert_allclose(parts.predict_proba(x), whole.predict_proba(x), rtol=1e-4)
    assert (parts.n_iter_, parts.t_) == (1, 900)


def test_partial_fit_over_batches():
    x, y = IRIS
    x = StandardScaler().fit_transform(x)
    net = MLPClassifier(16, "gelu", learning_rate_init=0.02, random_state=0)
    order = np.random.default_rng(0).permutation(len(y))
    for _ in range(10):
        for rows in np.array_split(order, 5):
            net.partial_fit(x[rows], y[rows], classes=[0, 1, 2])
    assert net.score(x, y) > 0.95
    assert len(net.loss_curve_) == 50


def test_partial_fit_goes_on_after_a_pickle():
    x, y = regression()
    here = MLPRegressor(8, batch_size=20, random_state=0).partial_fit(x, y)
    there = pickle.loads(pickle.dumps(here))
    copied = copy.deepcopy(here)
    for _ in range(3):
        for net in (here, there, copied):
            net.partial_fit(x, y)
    assert (here.predict(x) == there.predict(x)).all()
    assert (here.predict(x) == copied.predict(x)).all()


def test_each_call_shuffles_in_its_own_way():
    x, y = regression()
    net = MLPRegressor(8, batch_size=20, random_state=0)
    net.set_params(learning_rate_init=1e-12, momentum=0, solver="sgd")
    first, second = (net.partial_fit(x, y).loss_ for _ in range(2))
    assert first == pytest.approx(second)
    net.set_params(learning_rate_init=0.1)
    orders = []
    for _ in range(2):
        again = copy.deepcopy(net)
        net.loss_curve_.append(0.0)
        orders.append(again.partial_fit(x, y).loss_)
    assert orders[0] != orders[1]


def test_the_first_call_needs_the_classes_and_later_ones_keep_them():
    x, y = IRIS
    with pytest.raises(InputError, match=r"takes all classes: classes=\[…\]"):
        MLPClassifier().partial_fit(x, y)
    net = MLPClassifier(4).partial_fit(x[:50], y[:50], classes=[0, 1, 2])
    assert net.predict_proba(x).shape == (150, 3)
    with pytest.raises(InputError, match="classes=0, 1 differ from those of the first call, 0, 1"):
        net.partial_fit(x, y, classes=[0, 1])
    with pytest.raises(InputError, match="y has 7; the classes are 0, 1, 2"):
        net.partial_fit(x[:2], [1, 7])


def test_after_fit_the_optimiser_starts_anew():
    x, y = regression()
    net = MLPRegressor(8, max_iter=3, random_state=0)
    fresh, used = clone(net).fit(x, y), clone(net).partial_fit(x, y).fit(x, y)
    for _ in range(2):
        assert (fresh.partial_fit(x, y).predict(x) == used.partial_fit(x, y).predict(x)).all()


def test_a_warm_start_goes_on():
    x, y = IRIS
    net = MLPClassifier(8, warm_start=True, max_iter=5, random_state=0).fit(x, y)
    before = net.loss_
    net.fit(x, y)
    assert net.loss_ < before
    assert (net.n_iter_, len(net.loss_curve_), net.t_) == (5, 10, 1500)
    net.set_params(hidden_layer_sizes=(9,))
    with pytest.raises(InputError, match=r"hidden_layer_sizes=\(9,\) is not what the trained"):
        net.fit(x, y)
    net.set_params(hidden_layer_sizes=8, activation="gelu")
    with pytest.raises(InputError, match="activation='gelu' is not what the trained"):
        net.partial_fit(x, y)
    net.set_params(warm_start=False).fit(x, y)
    assert len(net.loss_curve_) == 5


def test_early_stopping():
    x, y = load_digits(return_X_y=True)
    net = MLPClassifier(early_stopping=True, n_iter_no_change=3, random_state=0).fit(x / 16, y)
    assert net.n_iter_ == len(net.validation_scores_) < 200
    assert net.best_validation_score_ in net.validation_scores_
    assert net.score(x / 16, y) > 0.95
    with pytest.raises(InputError, match="partial_fit takes early_stopping=False"):
        net.partial_fit(x, y)
    with pytest.raises(InputError, match=r"validation_fraction=0.1 of 10 points holds back 1;"):
        MLPRegressor(early_stopping=True).fit(x[:10], y[:10])
    with pytest.raises(ValueError, match="least populated class"):  # every class is held back
        MLPClassifier(early_stopping=True).fit(x, np.arange(len(y)) == 0)
    none = MLPClassifier(4, max_iter=1).fit(x, y)
    assert none.validation_scores_ is none.best_validation_score_ is None


# --- among scikit-learn's own -------------------------------------------------------------------


def test_a_grid_search_over_activations():
    x, y = IRIS
    acts = [*plie.names(scalar=True)[:4], "prelu", "x*tanh(exp(x))", plie.get("softplus", beta=2)]
    pipe = make_pipeline(StandardScaler(), MLPClassifier(8, max_iter=60, random_state=0))
    grid = {"mlpclassifier__activation": acts, "mlpclassifier__learning_rate_init": [0.02]}
    search = GridSearchCV(pipe, grid, cv=3, error_score="raise").fit(x, y)
    assert search.best_score_ > 0.93
    assert list(search.cv_results_["param_mlpclassifier__activation"]) == acts
    best = search.best_estimator_[-1]
    assert pickle.loads(pickle.dumps(best)).predict(x).tolist() == best.predict(x).tolist()


def test_learned_slopes_are_learned():
    x, y = regression()
    net = MLPRegressor(8, "prelu", learning_rate_init=0.02, random_state=0).fit(x, y)
    slopes = list(net.network_.layers[1].parameters())
    assert len(slopes) == 1
    assert slopes[0].item() != 0.25


def test_numbers_of_numpy_are_numbers():
    x, y = IRIS
    grid = {"max_iter": np.array([1, 2]), "alpha": np.logspace(-2, -1, 2)}
    grid |= {"hidden_layer_sizes": [np.array([4, 3])], "early_stopping": [np.True_]}
    search = GridSearchCV(MLPClassifier(), grid, cv=2, error_score="raise").fit(x, y)
    assert search.best_estimator_.network_.hidden == (4, 3)


@pytest.mark.parametrize("norm", ["batch", "layer"])
def test_what_the_library_does_not_train_is_trained_all_the_same(norm):
    x, y = IRIS
    net = MLPClassifier((16, 8), "gelu", norm=norm, dropout=0.1, init="gain", random_state=0)
    net.set_params(max_iter=40, learning_rate_init=0.02, batch_size=50).fit(x, y)
    assert net.score(x, y) > 0.9
    again = clone(net).fit(x, y)
    assert (again.predict_proba(x) == net.predict_proba(x)).all()
    assert pickle.loads(pickle.dumps(net)).predict(x).tolist() == net.predict(x).tolist()


def test_digits():
    x, y = load_digits(return_X_y=True)
    train, test, train_y, test_y = train_test_split(x, y, random_state=0, stratify=y)
    net = make_pipeline(StandardScaler(), MLPClassifier(random_state=0, max_iter=60))
    assert net.fit(train, train_y).score(test, test_y) >= 0.95


def test_diabetes():
    x, y = load_diabetes(return_X_y=True)
    x, y = StandardScaler().fit_transform(x), (y - y.mean()) / y.std()
    settings = {"max_iter": 60, "early_stopping": False, "random_state": 0, "alpha": 1.0}
    theirs = sklearn.neural_network.MLPRegressor(**settings, n_iter_no_change=60, tol=0)
    with pytest.warns(sklearn.exceptions.ConvergenceWarning):
        other = cross_val_score(theirs, x, y, cv=3).mean()
    mine = cross_val_score(MLPRegressor(**settings), x, y, cv=3).mean()
    assert mine > 0.35
    assert mine > other - 0.05


def test_pandas_brings_names():
    frame, y = load_iris(return_X_y=True, as_frame=True)
    names = load_iris().target_names[y]
    scaler = StandardScaler().set_output(transform="pandas")
    pipe = make_pipeline(scaler, MLPClassifier(8, max_iter=50, random_state=0))
    pipe.fit(frame, pd.Series(names, name="kind"))
    net = pipe[-1]
    assert net.feature_names_in_.tolist() == frame.columns.tolist()
    assert net.classes_.tolist() == ["setosa", "versicolor", "virginica"]
    assert set(pipe.predict(frame)) <= set(names)
    with pytest.raises(ValueError, match="feature names"):
        net.predict(scaler.transform(frame)[frame.columns[::-1]])


@pytest.mark.parametrize("labels", [["no", "yes"], [False, True], [-1, 1], [2.0, 5.0]])
def test_labels_are_of_any_type(labels):
    x, y = IRIS[0][:100], np.array(labels)[IRIS[1][:100]]
    net = MLPClassifier(8, max_iter=100, random_state=0).fit(x, y)
    assert net.score(x, y) == 1
    assert net.predict(x).dtype == y.dtype
    assert net.score(x, y, sample_weight=np.ones(100)) == 1


def test_logarithms_stay_finite():
    x, y = IRIS
    net = MLPClassifier(8, max_iter=1, random_state=0).fit(x, y)
    net.coefs_[-1][...] *= 1e5  # they are the network's own
    log = net.predict_log_proba(x)
    assert np.isfinite(log).all()
    assert (net.predict_proba(x) == 0).any()


def test_results_have_the_features_kind():
    x, y = IRIS
    net = MLPClassifier(8, max_iter=5, random_state=0).fit(x, y)
    assert net.predict_proba(x).dtype == np.float64
    single = net.predict_proba(x.astype(np.float32))
    assert single.dtype == np.float32
    np.testing.assert_allclose(single, net.predict_proba(x), rtol=1e-5)


def test_the_random_state():
    x, y = regression()
    net = MLPRegressor(4, max_iter=2)
    state = torch.get_rng_state()
    one, two = (clone(net).fit(x, y).predict(x) for _ in range(2))
    assert not (one == two).all()
    assert torch.equal(state, torch.get_rng_state())
    drawn = [
        clone(net).set_params(random_state=np.random.RandomState(7)).fit(x, y).predict(x)
        for _ in range(2)
    ]
    assert (drawn[0] == drawn[1]).all()


# --- bad input ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("parameter", "message"),
    [
        ({"activation": "sliu"}, "unknown activation 'sliu'; did you mean 'silu'?"),
        ({"activation": "softmax"}, "'softmax' is a function of a vector; a hidden layer needs"),
        ({"activation": ["relu", "tanh"]}, "2 activations given for 1 hidden layers"),
        ({"activation": 3}, "an activation is named by text, not int"),
        ({"solver": "lbfgs"}, "unknown solver 'lbfgs'; allowed: adam, adamw, sgd"),
        ({"learning_rate": "cosin"}, "unknown learning_rate 'cosin'; did you mean 'cosine'?"),
        ({"alpha": -1}, "alpha is a number 0 or more, not -1"),
        ({"learning_rate_init": 0}, "learning_rate_init is a number above 0, not 0"),
        ({"momentum": "0.9"}, "momentum is a number in [0, 1), not '0.9'"),
        ({"beta_2": 1.0}, "beta_2 is a number in [0, 1), not 1.0"),
        ({"epsilon": np.nan}, "epsilon is a number above 0, not nan"),
        ({"validation_fraction": 1}, "validation_fraction is a number between 0 and 1, not 1"),
        ({"max_iter": 0}, "max_iter is a whole number of 1 or more, not 0"),
        ({"n_iter_no_change": 1.5}, "n_iter_no_change is a whole number of 1 or more, not 1.5"),
        ({"batch_size": "all"}, "batch_size other than 'auto' is a whole number of 1 or more"),
        ({"hidden_layer_sizes": (5, 0)}, "each of hidden_layer_sizes is a whole number of 1 or"),
        ({"early_stopping": "no"}, "early_stopping is True or False, not 'no'"),
        ({"norm": "bach"}, "unknown norm 'bach'; did you mean 'batch'?"),
        ({"random_state": -1}, "Seed must be between 0 and 2**32 - 1"),
    ],
)
def test_a_bad_parameter_is_named(parameter, message):
    net = MLPClassifier(**parameter)  # the constructor checks nothing: scikit-learn's contract
    with pytest.raises(ValueError) as caught:  # noqa: PT011
        net.fit(*IRIS)
    assert str(caught.value).startswith(message)


def test_an_unknown_parameter_is_refused_at_once():
    with pytest.raises(TypeError, match="tol"):
        MLPClassifier(tol=1e-4)


def test_bad_data_is_refused():
    x, y = IRIS
    with pytest.raises(ValueError, match=r"y should be a 1d array, got an array of shape"):
        MLPClassifier().fit(x, np.eye(3)[y])
    with pytest.raises(InputError, match="two classes or more; one class is given, 1"):
        MLPClassifier().fit(x, np.ones_like(y))
    with pytest.raises(ValueError, match=r"(?i)sample.weight.*zero"):
        MLPClassifier().fit(x, y, sample_weight=np.zeros(len(y)))
    with pytest.raises(InputError, match=r"not all are zero; those given range from -1.0 to -1.0"):
        MLPClassifier().fit(x, y, sample_weight=-np.ones(len(y)))
    with pytest.raises(ValueError, match="too large for dtype"):
        MLPClassifier().fit(x * 1e60, y)
    with pytest.raises(InputError, match="y is too large for float32: up to 2e"):
        MLPRegressor().fit(x, y * 1e60)
    with pytest.raises(TypeError, match=r"[Ss]parse"):
        MLPClassifier().fit(scipy.sparse.csr_matrix(x), y)
    with pytest.raises(NotFittedError):
        MLPRegressor().predict(x)


def test_targets_must_stay_as_many():
    x, y = regression(2)
    net = MLPRegressor(4).partial_fit(x, y)
    with pytest.raises(InputError, match="made for 2 targets; y has 1"):
        net.partial_fit(x, y[:, 0])
    with pytest.warns(DataConversionWarning):
        assert MLPRegressor(4, max_iter=1).fit(x, y[:, :1]).predict(x).shape == (60,)


def test_divergence_is_an_error_and_leaves_nothing():
    x, y = regression()
    net = MLPRegressor(8, max_iter=2, random_state=0).fit(x, y)
    net.set_params(solver="sgd", learning_rate_init=1e6, max_iter=100)
    with pytest.raises(InputError, match=r"diverged with learning_rate_init=1000000.0; take a sm"):
        net.fit(x, y)
    with pytest.raises(NotFittedError):
        net.predict(x)


@pytest.mark.skipif(not hasattr(sklearn.utils, "get_tags"), reason="they came with 1.6")
def test_the_tags():
    for estimator, several in ((MLPClassifier(), False), (MLPRegressor(), True)):
        assert sklearn.utils.get_tags(estimator).target_tags.multi_output == several
    assert not sklearn.utils.get_tags(MLPClassifier()).classifier_tags.multi_label
    assert MLPRegressor()._more_tags() == {"multioutput": True}  # until scikit-learn 1.6


def test_the_right_kinds_of_error():
    assert issubclass(InputError, ValueError)
    assert issubclass(UnknownNameError, ValueError)
