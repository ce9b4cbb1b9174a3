"""Data sets that are fetched once: MNIST, Fashion-MNIST, CIFAR-10, California housing.

What is fetched are the plain files that their authors publish, kept as they are, checked against
their known checksums at every load, and read here in a few lines each. torchvision would do it
too, but must match the build of torch, and reads CIFAR-10 by unpickling, as scikit-learn does with
its own copy of California housing; numbers need neither. Files of MNIST and Fashion-MNIST lie
where torchvision puts them, so that one folder serves both.
"""

from __future__ import annotations

import gzip
import hashlib
import os
import tarfile
import urllib.request
from collections.abc import Sequence
from dataclasses import dataclass
from http.client import HTTPException
from io import BytesIO
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch

from plie.data.dataset import Dataset
from plie.errors import InputError
from plie.store import write_atomically

Folder = str | os.PathLike[str] | None
Bytes = npt.NDArray[np.uint8]


@dataclass(frozen=True)
class Remote:
    """A published file: where from, where to in the data folder, and its checksum.

    The checksum is an md5 as its authors or torchvision state it, or scikit-learn's sha256.
    """

    url: str
    folder: str
    file: str
    checksum: str

    def within(self, folder: Path) -> Path:
        """Where it lies."""
        return folder / self.folder / self.file


def _idx(site: str, folder: str, checksums: tuple[str, ...]) -> tuple[Remote, ...]:
    stems = ("train-images-idx3", "train-labels-idx1", "t10k-images-idx3", "t10k-labels-idx1")
    files = [f"{stem}-ubyte.gz" for stem in stems]
    pairs = zip(files, checksums, strict=True)
    return tuple(Remote(site + file, f"{folder}/raw", file, checksum) for file, checksum in pairs)


REMOTES = {
    "mnist": _idx(
        "https://ossci-datasets.s3.amazonaws.com/mnist/",
        "MNIST",
        (
            "f68b3c2dcbeaaa9fbdd348bbdeb94873",
            "d53e105ee54ea40749a09fcbcd1e9432",
            "9fb629c4189551a2d022fa330f9573f3",
            "ec29112dd5afa0611ce80d1b7f02629c",
        ),
    ),
    "fashion_mnist": _idx(
        "http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/",
        "FashionMNIST",
        (
            "8d4fb7e6c68d591d4c3dfef9ec88bf0d",
            "25c81989df183df01b3e8a0aad5dffbe",
            "bef4ecab320f06d8554ea6380940ec79",
            "bb300cfdad3c16e7a12a480ee83cd310",
        ),
    ),
    "cifar10": (
        Remote(
            "https://www.cs.toronto.edu/~kriz/cifar-10-binary.tar.gz",
            "",
            "cifar-10-binary.tar.gz",
            "c32a1d4ab5d03f1284b67883e8d87530",
        ),
    ),
    "california_housing": (
        Remote(
            "https://ndownloader.figshare.com/files/5976036",
            "",
            "cal_housing.tgz",
            "aaa5c9a6afe2225cc2aed2723682ae403280c4a3695a2ddda4ffb5d8215ea681",
        ),
    ),
}


def mnist(name: str, classes: tuple[str, ...], folder: Folder) -> Dataset:
    """MNIST or one of its shape: the 60,000 training images first, then the 10,000 of the test."""
    arrays = [_idx_array(gzip.decompress(content)) for content in fetch(name, folder)]
    pixels, labels = (np.concatenate(arrays[which::2]) for which in range(2))
    return images(name, pixels / np.float32(255), labels, (28, 28), classes)


def cifar10(folder: Folder) -> Dataset:
    """CIFAR-10 from its binary version: a label, then 3 × 32 × 32 bytes, for each image."""
    (content,) = fetch("cifar10", folder)
    batches = [*(f"data_batch_{i}.bin" for i in range(1, 6)), "test_batch.bin"]
    with tarfile.open(fileobj=BytesIO(content)) as archive:
        raw = b"".join(_member(archive, f"cifar-10-batches-bin/{name}") for name in batches)
        text = _member(archive, "cifar-10-batches-bin/batches.meta.txt").decode()
    rows = np.frombuffer(raw, np.uint8).reshape(-1, 1 + 3 * 32 * 32)
    return images("cifar10", rows[:, 1:] / np.float32(255), rows[:, 0], (3, 32, 32), text.split())


def california_housing(folder: Folder) -> Dataset:
    """The districts of the census of 1990, with scikit-learn's features in its units."""
    (content,) = fetch("california_housing", folder)
    with tarfile.open(fileobj=BytesIO(content)) as archive:
        lines = _member(archive, "CaliforniaHousing/cal_housing.data").decode().splitlines()
    east, north, age, rooms, bedrooms, people, homes, income, value = np.loadtxt(
        lines, delimiter=","
    ).T
    columns = {
        "MedInc": income,
        "HouseAge": age,
        "AveRooms": rooms / homes,
        "AveBedrms": bedrooms / homes,
        "Population": people,
        "AveOccup": people / homes,
        "Latitude": north,
        "Longitude": east,
    }
    features = torch.from_numpy(np.stack([*columns.values()], axis=1)).float()
    targets = torch.from_numpy(value / 100_000).float()[:, None]
    return Dataset(features, targets, tuple(columns), (), "california_housing", ("MedHouseVal",))


def images(
    name: str,
    pixels: npt.NDArray[np.generic],
    labels: npt.NDArray[np.generic],
    shape: tuple[int, ...],
    classes: Sequence[str],
) -> Dataset:
    """The data set of images with pixels from 0 to 1."""
    features = torch.from_numpy(pixels.reshape(len(pixels), -1)).float().contiguous()
    targets = torch.from_numpy(labels.astype("int64"))
    names = tuple(f"pixel {i}" for i in range(features.shape[1]))
    return Dataset(features, targets, names, tuple(classes), name, image_shape=shape)


# --- fetching -----------------------------------------------------------------------------------


def data_folder(folder: Folder = None) -> Path:
    """Where downloads are kept: ``folder``, else ``PLIE_DATA``, else the user's data folder."""
    from platformdirs import user_data_dir

    return Path(folder or os.environ.get("PLIE_DATA") or user_data_dir("plie", appauthor=False))


def fetch(name: str, folder: Folder) -> list[bytes]:
    """The contents of a data set's files, checked; they are downloaded where they are missing.

    Raises:
        InputError: no network, no such folder, or a file that is not the published one.
    """
    there, remotes = data_folder(folder), REMOTES[name]
    for remote in remotes:
        if not remote.within(there).is_file():
            try:
                _download(remote, remote.within(there))
            except (OSError, HTTPException) as error:  # urllib's own are OSErrors
                raise InputError(_by_hand(name, remotes, there, error)) from None
    return [_checked(r.within(there).read_bytes(), r, r.within(there)) for r in remotes]


def _download(remote: Remote, path: Path) -> None:
    with urllib.request.urlopen(remote.url, timeout=60) as answer:
        content = _checked(answer.read(), remote, remote.url)
    path.parent.mkdir(parents=True, exist_ok=True)
    write_atomically(path, lambda part: part.write_bytes(content))


def _checked(content: bytes, remote: Remote, where: str | Path) -> bytes:
    """Refuse any other file: a cut-off download, a login page, a stranger's."""
    kind = "sha256" if len(remote.checksum) == 64 else "md5"
    found = hashlib.new(kind, content, usedforsecurity=False).hexdigest()
    if found != remote.checksum:
        raise InputError(
            f"'{where}' is not the published {remote.file}: "
            f"its {kind} is {found}, not {remote.checksum}"
        )
    return content


def _by_hand(name: str, remotes: tuple[Remote, ...], folder: Path, error: Exception) -> str:
    missing = [remote for remote in remotes if not remote.within(folder).is_file()]
    files = " and ".join(remote.file for remote in missing)
    first = missing[0]
    return (
        f"'{name}' cannot be downloaded ({getattr(error, 'reason', error)}); put {files} from "
        f"{first.url.removesuffix(first.file)} into the folder '{first.within(folder).parent}', "
        "or name a folder that has it by folder= or PLIE_DATA"
    )


def _idx_array(content: bytes) -> Bytes:
    """LeCun's format: two zeros, a type (8 for bytes), the number of axes, sizes, numbers."""
    axes = content[3]
    shape = np.frombuffer(content, ">i4", axes, offset=4)
    return np.frombuffer(content, np.uint8, offset=4 + 4 * axes).reshape(shape)


def _member(archive: tarfile.TarFile, name: str) -> bytes:
    """A file's content, read in place: nothing is unpacked onto the disk."""
    file = archive.extractfile(name)
    assert file is not None, "the checksum says that it is there"
    return file.read()
