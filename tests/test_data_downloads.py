"""Downloads: what is read from the published files, and what is said where they are not there."""

import gzip
import hashlib
import importlib
import io
import pickle
import re
import tarfile
import urllib.error
import urllib.request
from dataclasses import replace

import numpy as np
import pytest
import torch

from plie.data import downloads, load
from plie.errors import InputError


def offline(*_, **__):
    raise urllib.error.URLError("no network")


FILES = {
    "mnist": "MNIST/raw/train-images-idx3-ubyte.gz",
    "fashion_mnist": "FashionMNIST/raw/t10k-labels-idx1-ubyte.gz",
    "cifar10": "cifar-10-binary.tar.gz",
    "california_housing": "cal_housing.tgz",
}


@pytest.mark.parametrize("name", FILES)
def test_offline_the_folder_and_the_files_are_named(name, tmp_path, monkeypatch):
    monkeypatch.setattr(urllib.request, "urlopen", offline)
    file = tmp_path / FILES[name]
    with pytest.raises(InputError) as error:
        load(name, folder=tmp_path)
    message = str(error.value)
    assert message.startswith(f"'{name}' cannot be downloaded (no network); put ")
    assert f"{file.name} " in message
    assert " from http" in message
    assert f" into the folder '{file.parent}'" in message
    assert list(tmp_path.iterdir()) == []
    monkeypatch.setenv("PLIE_DATA", str(tmp_path / "there"))
    with pytest.raises(InputError, match=re.escape(str(tmp_path / "there"))):
        load(name)


def test_downloads_go_to_the_users_folder(monkeypatch):
    monkeypatch.delenv("PLIE_DATA", raising=False)
    assert downloads.data_folder().name == "plie"


@pytest.fixture
def published(monkeypatch):
    """Small files take the place of the published ones; answers what was fetched."""
    fetched = []

    def publish(name, contents):
        remotes = downloads.REMOTES[name]
        kinds = ["sha256" if len(r.checksum) == 64 else "md5" for r in remotes]
        sums = [hashlib.new(k, c).hexdigest() for k, c in zip(kinds, contents, strict=True)]
        made = [replace(r, checksum=s) for r, s in zip(remotes, sums, strict=True)]
        monkeypatch.setitem(downloads.REMOTES, name, tuple(made))
        answers = dict(zip([r.url for r in remotes], contents, strict=True))

        def answer(url, timeout):
            fetched.append(url)
            return io.BytesIO(answers[url])

        monkeypatch.setattr(urllib.request, "urlopen", answer)
        return fetched

    return publish


def idx(array):
    head = bytes([0, 0, 8, array.ndim]) + np.array(array.shape, ">i4").tobytes()
    return gzip.compress(head + array.astype("uint8").tobytes())


def packed(members):
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as archive:
        for name, content in members.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(content)
            archive.addfile(entry, io.BytesIO(content))
    return buffer.getvalue()


@pytest.mark.parametrize("name", ["mnist", "fashion_mnist"])
def test_mnist_is_read_and_kept(name, tmp_path, published):
    pixels = np.arange(3 * 28 * 28).reshape(3, 28, 28) % 256
    contents = [idx(pixels[:2]), idx(np.array([7, 0])), idx(pixels[2:]), idx(np.array([9]))]
    fetched = published(name, contents)
    data = load(name, folder=tmp_path)
    assert len(fetched) == 4
    assert data.labels.tolist() == [7, 0, 9]
    expected = torch.from_numpy(pixels.reshape(3, -1)).float() / 255
    assert torch.equal(data.features, expected)
    assert (data.image_shape, data.outputs) == ((28, 28), 10)
    assert load(name, folder=tmp_path).fingerprint == data.fingerprint
    assert len(fetched) == 4
    assert (tmp_path / FILES[name]).is_file()


def test_cifar10_is_read_without_unpickling(tmp_path, published, monkeypatch):
    rows = np.arange(6 * 3073).reshape(6, 3073) % 251
    rows[:, 0] = [3, 1, 4, 1, 5, 9]
    batches = [*(f"data_batch_{i}" for i in range(1, 6)), "test_batch"]
    members = {
        f"cifar-10-batches-bin/{b}.bin": row.astype("uint8").tobytes()
        for b, row in zip(batches, rows, strict=True)
    }
    classes = [f"kind{i}" for i in range(10)]
    members["cifar-10-batches-bin/batches.meta.txt"] = "\n".join([*classes, ""]).encode()
    published("cifar10", [packed(members)])
    monkeypatch.setattr(pickle, "load", None)
    data = load("cifar-10", folder=tmp_path)
    assert data.labels.tolist() == [3, 1, 4, 1, 5, 9]
    assert data.class_names == tuple(classes)
    assert (data.features.shape, data.image_shape) == ((6, 3072), (3, 32, 32))
    assert torch.equal(data.features, torch.from_numpy(rows[:, 1:]).float() / 255)


def test_california_housing_is_scikit_learns(tmp_path, published, monkeypatch):
    """Against scikit-learn's own function, on the same small file."""
    rng = np.random.default_rng(0)
    lines = "\n".join(",".join(f"{v:.6f}" for v in row) for row in rng.uniform(1, 99, (5, 9)))
    content = packed({"CaliforniaHousing/cal_housing.data": lines.encode()})
    published("california_housing", [content])
    data = load("California Housing", folder=tmp_path / "ours")
    module = importlib.import_module("sklearn.datasets._california_housing")
    (tmp_path / "theirs.tgz").write_bytes(content)
    monkeypatch.setattr(module, "_fetch_remote", lambda *_, **__: tmp_path / "theirs.tgz")
    bunch = module.fetch_california_housing(data_home=str(tmp_path / "theirs"))
    assert data.feature_names == tuple(bunch.feature_names)
    assert data.target_names == tuple(bunch.target_names)
    np.testing.assert_allclose(data.features, bunch.data, rtol=1e-6)
    np.testing.assert_allclose(data.targets[:, 0], bunch.target, rtol=1e-6)


def test_a_file_that_is_not_the_published_one_is_refused(tmp_path, monkeypatch):
    (tmp_path / "cifar-10-binary.tar.gz").write_bytes(b"<html>")
    with pytest.raises(
        InputError, match=r"is not the published cifar-10-binary\.tar\.gz: its md5 is"
    ):
        load("cifar10", folder=tmp_path)
    monkeypatch.setattr(urllib.request, "urlopen", lambda *_, **__: io.BytesIO(b"<html>"))
    with pytest.raises(
        InputError, match=r"'https://.*' is not the published cal_housing.tgz: its sh"
    ):
        load("california_housing", folder=tmp_path)
    assert not (tmp_path / "cal_housing.tgz").exists()
