"""Keras on torch finds the zoo by name, saves and loads it; its own names keep their meaning."""

import os

import pytest
import torch

import plie

os.environ.setdefault("KERAS_BACKEND", "torch")
keras = pytest.importorskip("keras")

# torch's own tensors, which Keras hands to NumPy
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")


@pytest.fixture(scope="module")
def new():
    from plie.integrations import keras as ours

    theirs = dict(keras.src.activations.ALL_OBJECTS_DICT)
    names = ours.register("softplus:beta=10", plie.define("x*tanh(2*x)", name="own"))
    for name, function in theirs.items():
        assert keras.activations.get(name) is function
    assert not set(names) & set(theirs)
    assert ours.register("softplus:beta=10") == []  # once is enough
    return names


def test_every_name_computes_what_the_zoo_does(new):
    x = torch.linspace(-3, 3, 31)
    assert "tanh_exp" in new
    assert "plie_relu" in new
    assert "relu" not in new
    assert {name.removeprefix("plie_") for name in new} == {
        *plie.names(scalar=True), "softplus:beta=10.0", "own"
    }  # fmt: skip
    for name in new:
        if name != "own":
            expected = plie.get(name.removeprefix("plie_"))(x)
            assert torch.equal(keras.activations.get(name)(x), expected), name
    assert torch.allclose(
        keras.activations.get("softplus:beta=10.0")(x), torch.nn.functional.softplus(x, 10)
    )


def network():
    keras.utils.set_random_seed(0)
    return keras.Sequential(
        [
            keras.layers.Input((4,)),
            keras.layers.Dense(6, activation="tanh_exp"),
            keras.layers.Activation("plie_gelu"),
            keras.layers.Dense(3, activation="own"),
        ]
    )


def test_a_network_computes_and_learns(new):
    model, x = network(), torch.randn(8, 4)
    (a, b), (c, d) = (layer.get_weights() for layer in (model.layers[0], model.layers[2]))
    hidden = plie.get("gelu")(plie.get("tanh_exp")(x @ torch.tensor(a) + torch.tensor(b)))
    z = hidden @ torch.tensor(c) + torch.tensor(d)
    assert torch.allclose(model(x), z * torch.tanh(2 * z), atol=1e-6)
    model.compile("sgd", "mse")
    losses = model.fit(x.numpy(), x[:, :3].numpy(), epochs=5, verbose=0).history["loss"]
    assert losses[-1] < losses[0]
    found = [place.activation.name for place in plie.diagnose(model, x).places]
    assert found == ["tanh_exp", "gelu", "own"]


def test_a_saved_network_keeps_its_activations(new, tmp_path):
    model, x = network(), torch.randn(5, 4)
    model.save(tmp_path / "a.keras")
    again = keras.saving.load_model(tmp_path / "a.keras")
    assert torch.allclose(again(x), model(x))
    assert [layer.activation.__name__ for layer in again.layers] == ["tanh_exp", "plie_gelu", "own"]


def test_on_another_backend_it_is_said(monkeypatch):
    from plie.integrations import keras as ours

    monkeypatch.setattr(keras.backend, "backend", lambda: "jax")
    with pytest.raises(plie.InputError, match=r"Keras runs on jax.*KERAS_BACKEND=torch"):
        ours.register()
