"""Data sets: the XOR points' statistics, and every way a CSV file can be wrong."""

import math
from statistics import NormalDist

import pytest
import torch

from plie.data import load, read_csv, xor, xor_deviation
from plie.errors import InputError, UnknownNameError


def write(folder, text, name="points.csv"):
    path = folder / name
    path.write_text(text, "utf-8")
    return path


def misplaced(data):
    quadrant = (data.features[:, 0] * data.features[:, 1] < 0).long()
    return (quadrant != data.labels).float().mean().item()


def test_xor_is_the_lectures():
    data = xor()
    assert data.features.shape == (750, 2)
    assert data.features.dtype == torch.float32
    assert data.labels.bincount().tolist() == [375, 375]
    torch.testing.assert_close(data.features.mean(0), torch.zeros(2), atol=1e-6, rtol=0)
    torch.testing.assert_close(data.features.std(0, correction=0), torch.ones(2))


@pytest.mark.parametrize("wrong", [0.01, 0.1, 0.3])
def test_share_of_misplaced_points_is_as_asked(wrong):
    crossing = NormalDist().cdf(-1 / xor_deviation(wrong))
    assert math.isclose(2 * crossing * (1 - crossing), wrong)
    n = 40_000
    error = math.sqrt(wrong * (1 - wrong) / n)
    assert abs(misplaced(xor(n, wrong=wrong)) - wrong) < 5 * error


def test_xor_is_seeded_and_leaves_global_state_alone():
    state = torch.get_rng_state()
    first, same, other = xor(seed=1), xor(seed=1), xor(seed=2)
    assert torch.equal(state, torch.get_rng_state())
    assert torch.equal(first.features, same.features)
    assert not torch.equal(first.features, other.features)
    assert torch.equal(load("xor", seed=2).features, other.features)


@pytest.mark.parametrize(("n", "wrong"), [(3, 0.01), (750, 0.0), (750, 0.5), (750, math.nan)])
def test_impossible_xor_is_refused(n, wrong):
    with pytest.raises(InputError):
        xor(n, wrong=wrong)


def test_smallest_xor_has_one_point_a_blob():
    quadrants = {tuple(point) for point in xor(4, wrong=1e-9).features.sign().tolist()}
    assert len(quadrants) == 4


def test_read_csv(tmp_path):
    data = read_csv(write(tmp_path, "a,kind,b\n1,red,2.5\n3,blue,4\n5,red,6\n"), "kind")
    assert data.feature_names == ("a", "b")
    assert data.class_names == ("blue", "red")
    assert data.labels.tolist() == [1, 0, 1]
    assert data.features.tolist() == [[1, 2.5], [3, 4], [5, 6]]
    assert data.is_planar
    assert data.name == "points"


def test_numbers_are_classes_in_their_own_order(tmp_path):
    data = read_csv(write(tmp_path, "a,c\n1,10\n2,9\n"), "c")
    assert data.class_names == ("9", "10")


BAD = {
    "missing": ("a,c\n1,x\n,y\n", "c", "column 'a' has no value in 1 row"),
    "missing class": ("a,c\n1,x\n2,\n3,\n", "c", "column 'c' has no value in 2 rows"),
    "text": ("a,b,c\n1,one,x\n2,two,y\n", "c", "feature column 'b' is not numeric: it holds 'one'"),
    "text below numbers": (
        "a,b,c\n1,2,x\n3,foo,y\n",
        "c",
        "feature column 'b' is not numeric: it holds 'foo'",
    ),
    "infinite": ("a,c\n1,x\n1e300,y\n", "c", "too large"),
    "semicolons": ("a;c\n1;x\n2;y\n", "c", "separated by semicolons"),
    "semicolons and decimal commas": ("a;c\n1,5;x\n2;y\n", "c", "separated by semicolons"),
    "tabs": ("a\tb\tc\n1\t2\tx\n", "c", "separated by tabs; a CSV file needs commas"),
    "same name": ("a,a,c\n1,2,x\n3,4,y\n", "c", "has 2 columns named 'a'; each needs its own name"),
    "same class": ("a,c,c\n1,2,x\n3,4,y\n", "c", "has 2 columns named 'c'"),
    "no header": ("1.5,-2,0\n3,4,1\n", "0", "no header row: its first line holds only numbers"),
    "no header, no target": ("\n1,2,0\n3,4,1\n", None, "no header row"),
    "one class": ("a,c\n1,x\n2,x\n", "c", "one class only"),
    "decimals": ("a,c\n1,0.5\n2,0.7\n", "c", "decimal numbers"),
    "no features": ("c\nx\ny\n", "c", "no feature columns"),
    "no such column": ("a,class label\n1,x\n2,y\n", "class labl", "did you mean 'class label'"),
    "no target": ("a,c\n1,x\n2,y\n", None, "give a target, one of 'a', 'c'"),
    "no rows": ("a,c\n", "c", "no rows"),
    "empty": ("", "c", "not a readable CSV file"),
    "ragged": ("a,c\n1,x\n2,y,z\n", "c", "not a readable CSV file"),
    "shifted": ("a,c\n1,x,3\n2,y,4\n", "c", "not a readable CSV file"),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_files_are_named(case, tmp_path):
    text, target, message = BAD[case]
    with pytest.raises(InputError, match=message):
        read_csv(write(tmp_path, text), target)


def test_missing_file_suggests_its_neighbour(tmp_path):
    write(tmp_path, "a,c\n", "points.csv")
    with pytest.raises(InputError, match=r"did you mean 'points\.csv'"):
        load(tmp_path / "point.csv", "c")
    with pytest.raises(InputError, match="no folder"):
        load(tmp_path / "nowhere" / "point.csv", "c")
    with pytest.raises(InputError, match=r"no file 'POINTS\.CSV'"):
        load("POINTS.CSV", "c")
    with pytest.raises(InputError, match="it is a folder"):
        load(tmp_path, "c")


def test_binary_file_is_refused(tmp_path):
    path = tmp_path / "picture.csv"
    path.write_bytes(b"\x89PNG\r\n\x1a\n\xff\xfe")
    with pytest.raises(InputError, match="not a readable CSV file"):
        load(path, "c")


def test_names_that_pandas_would_make_are_names_too(tmp_path):
    data = read_csv(write(tmp_path, "\ufeffa,a.1,2024,c\n1,2,3,x\n3,4,5,y\n"), "c")
    assert data.feature_names == ("a", "a.1", "2024")


def test_a_file_of_a_similar_name_is_suggested(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write(tmp_path, "a,c\n", "semi.csv")
    write(tmp_path, "", "xro.txt")
    with pytest.raises(
        UnknownNameError, match=r"unknown data set 'semi\.cvs'; did you mean 'semi\."
    ):
        load("semi.cvs")
    with pytest.raises(UnknownNameError, match=r"did you mean 'xor'\?$"):
        load("xro")


def test_unknown_data_set_suggests():
    with pytest.raises(UnknownNameError, match="did you mean 'xor'"):
        load("xro")
    with pytest.raises(InputError, match="has its own classes"):
        load("xor", target="label")


def test_standardised(tmp_path):
    data = read_csv(write(tmp_path, "a,b,c\n1,10,x\n3,30,y\n"), "c").standardised()
    assert data.features.tolist() == [[-1, -1], [1, 1]]
    rows = "".join(f"{10**6 + i},{i % 2}\n" for i in range(1000))  # far from zero
    far = read_csv(write(tmp_path, f"a,c\n{rows}"), "c").standardised().features
    torch.testing.assert_close(far[[0, -1], 0], torch.tensor([-1.7303185, 1.7303185]))
    flat = read_csv(write(tmp_path, "a,c\n1,x\n1,y\n"), "c")
    with pytest.raises(InputError, match="feature 'a'"):
        flat.standardised()
