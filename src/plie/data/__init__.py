"""Data sets: generated ones, well-known ones, images, and any CSV or Parquet file.

>>> import plie
>>> points = plie.data.xor(100)
>>> points.features.shape, points.class_names
(torch.Size([100, 2]), ('0', '1'))
>>> split = plie.data.load("iris").split(seed=1)
>>> len(split.train), len(split.validation), len(split.test)
(90, 30, 30)
"""

from plie.data.dataset import Dataset
from plie.data.loading import describe, load, names
from plie.data.scale import Scale
from plie.data.split import Split
from plie.data.tables import read_csv, read_parquet
from plie.data.toys import (
    TOYS,
    blobs,
    checkerboard,
    circles,
    moons,
    spirals,
    wave,
    xor,
    xor_deviation,
)

__all__ = [
    "TOYS",
    "Dataset",
    "Scale",
    "Split",
    "blobs",
    "checkerboard",
    "circles",
    "describe",
    "load",
    "moons",
    "names",
    "read_csv",
    "read_parquet",
    "spirals",
    "wave",
    "xor",
    "xor_deviation",
]
