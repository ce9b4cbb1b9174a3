"""CSV and Parquet files: columns become tensors, and every way in which a file can be wrong."""

import re
import sys

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from plie.data import load, read_csv, read_parquet
from plie.errors import InputError, UnknownNameError


def write(folder, text, name="points.csv"):
    path = folder / name
    path.write_text(text, "utf-8")
    return path


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
    "text among numbers": (
        "a,b,c\n1,one,x\n2,2,y\n",
        "c",
        "feature column 'b' is not numeric: it holds 'one'",
    ),
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
    "one number": ("a,c\n1,0.5\n2,0.5\n", "c", "'c' has one value only; there is nothing to pred"),
    "infinite target": ("a,c\n1,0.5\n2,1e300\n", "c", "'c' has a value that is infinite or too l"),
    "names": (
        "a,b\n" + "".join(f"n{i},{i % 2}\n" for i in range(30)),
        "b",
        "feature column 'a' has 30 different values in 30 rows, too many for categories; leave",
    ),
    "many categories": (
        "a,b\n" + "".join(f"n{i % 51},{i % 2}\n" for i in range(200)),
        "b",
        "feature column 'a' has 51 different values in 200 rows",
    ),
    "remarks for classes": (
        "a,b\n" + "".join(f"{i},n{i}\n" for i in range(20)),
        "b",
        "target column 'b' has 20 different values in 20 rows, too many for classes; name another",
    ),
    "empty column": (
        "a,b,c\n1,,x\n2,,y\n",
        "c",
        "column 'b' has no value in 2 rows; missing='drop'",
    ),
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


def test_standardised(tmp_path):
    data = read_csv(write(tmp_path, "a,b,c\n1,10,x\n3,30,y\n"), "c").standardised()
    assert data.features.tolist() == [[-1, -1], [1, 1]]
    rows = "".join(f"{10**6 + i},{i % 2}\n" for i in range(1000))  # far from zero
    far = read_csv(write(tmp_path, f"a,c\n{rows}"), "c").standardised().features
    torch.testing.assert_close(far[[0, -1], 0], torch.tensor([-1.7303185, 1.7303185]))
    flat = read_csv(write(tmp_path, "a,c\n1,x\n1,y\n"), "c")
    with pytest.raises(InputError, match="feature 'a'"):
        flat.standardised()


# --- columns ------------------------------------------------------------------------------------


def test_categories_become_columns(tmp_path):
    rows = "size,colour,old,kind\n1,red,True,x\n2,blue,False,y\n3,red,True,x\n"
    data = read_csv(write(tmp_path, rows), "kind")
    assert data.feature_names == ("size", "colour=blue", "colour=red", "old=False", "old=True")
    assert data.features.tolist() == [[1, 0, 1, 0, 1], [2, 1, 0, 1, 0], [3, 0, 1, 0, 1]]
    assert data.features.is_contiguous()


def test_truth_values_are_classes(tmp_path):
    data = read_csv(write(tmp_path, "a,old\n1,True\n2,False\n"), "old")
    assert (data.class_names, data.labels.tolist()) == (("False", "True"), [1, 0])


HOLES = "a,colour,c\n1,red,x\n,blue,y\n3,,x\n4,red,y\n"


def test_missing_values_are_refused_dropped_or_imputed(tmp_path):
    file = write(tmp_path, HOLES)
    message = (
        "column 'a' has no value in 1 row; missing='drop' leaves such rows out, "
        "and missing='impute' fills them in"
    )
    with pytest.raises(InputError, match=f"^{re.escape(message)}$"):
        read_csv(file, "c")
    dropped = read_csv(file, "c", missing="drop")
    assert dropped.feature_names == ("a", "colour=red")
    assert dropped.features.tolist() == [[1, 1], [4, 1]]
    imputed = read_csv(file, "c", missing="impute")
    assert imputed.feature_names == ("a", "colour=blue", "colour=missing", "colour=red")
    assert imputed.features[:, 0].isnan().tolist() == [False, True, False, False]
    assert imputed.features[2].tolist() == [3, 0, 1, 0]


def test_missing_values_that_nothing_can_fill(tmp_path):
    with pytest.raises(
        InputError, match="'c' has no value in 1 row; missing='drop' leaves such ro"
    ):
        read_csv(write(tmp_path, "a,c\n1,x\n2,\n3,y\n"), "c", missing="impute")
    with pytest.raises(InputError, match="column 'b' has no value at all; leave it out"):
        read_csv(write(tmp_path, "a,b,c\n1,,x\n2,,y\n"), "c", missing="impute")
    with pytest.raises(InputError, match=r"every row of 'points\.csv' lacks a value"):
        read_csv(write(tmp_path, "a,b,c\n1,,x\n2,,y\n"), "c", missing="drop")


@pytest.mark.parametrize(
    ("values", "task"),
    [
        ([0.5, 1.5, 2.0], "regression"),
        (range(21), "regression"),
        ([*range(20)] * 3, "classification"),
        ([1.0, 2.0, 1.0], "classification"),
        (["no", "yes", "no"], "classification"),
    ],
)
def test_the_task_is_seen_in_the_target(tmp_path, values, task):
    rows = "".join(f"{i},{value}\n" for i, value in enumerate(values))
    data = load(write(tmp_path, f"a,b\n{rows}"), "b")
    assert data.task == task
    if task == "regression":
        assert data.targets.tolist() == [[value] for value in values]
        assert (data.class_names, data.target_names, data.outputs) == ((), ("b",), 1)
        with pytest.raises(InputError, match="'points' has no classes; its targets are numbers"):
            _ = data.labels


def test_the_task_can_be_said(tmp_path):
    whole = write(tmp_path, "a,b\n" + "".join(f"{i},{i % 30}\n" for i in range(40)))
    assert load(whole, "b", task="classification").outputs == 30
    assert load(write(tmp_path, "a,b\n1,0\n2,1\n"), "b", task="regression").task == "regression"
    with pytest.raises(InputError, match="'b' holds decimal numbers, not classes; task='regressi"):
        load(write(tmp_path, "a,b\n1,0.5\n2,1\n"), "b", task="classification")
    with pytest.raises(InputError, match="target column 'b' is not numeric: it holds 'x'"):
        load(write(tmp_path, "a,b\n1,x\n2,y\n"), "b", task="regression")
    with pytest.raises(UnknownNameError, match="task 'regresion'; did you mean 'regression'"):
        load(whole, "b", task="regresion")
    with pytest.raises(UnknownNameError, match="missing values 'droop'; did you mean 'drop'"):
        load(whole, "b", missing="droop")


TABLES = st.lists(
    st.tuples(
        st.floats(width=32, allow_nan=False, allow_infinity=False),
        st.sampled_from(["red", "green, or so", '"blue"', "ü"]),
        st.booleans(),
    ),
    min_size=1,
    max_size=19,
)


@settings(max_examples=40, deadline=None)
@given(TABLES)
def test_a_table_is_the_same_in_both_formats(tmp_path_factory, rows):
    folder = tmp_path_factory.mktemp("tables")
    table = pd.DataFrame(rows, columns=["number", "colour", "flag"])
    table["class"] = [f"c{i % 2}" for i in range(len(table))]
    table = pd.concat([table, table.assign(**{"class": "c2"})])
    table.to_csv(folder / "t.csv", index=False)
    table.to_parquet(folder / "t.parquet")
    text, binary = load(folder / "t.csv", "class"), load(folder / "t.parquet", "class")
    assert text.fingerprint == binary.fingerprint
    assert text.features[:, 0].tolist() == table["number"].tolist()
    colours = [n.removeprefix("colour=") for n in text.feature_names if n.startswith("colour=")]
    assert colours == sorted(set(table["colour"]))
    back = text.features[:, 1 : 1 + len(colours)].argmax(dim=1)
    assert [colours[i] for i in back] == table["colour"].tolist()


def test_parquet_types(tmp_path):
    table = pd.DataFrame(
        {
            "whole": pd.array([1, None, 3], dtype="Int64"),
            "size": pd.Categorical(["M", "S", None]),
            "flag": pd.array([True, False, None], dtype="boolean"),
            "number": np.array([1, 2, 4], dtype="int8"),
            7: [0.25, 0.5, 0.125],
        }
    )
    table.rename(columns=str).to_parquet(tmp_path / "t.pq")
    data = load(tmp_path / "t.pq", "7", missing="impute")
    sizes = ("size=M", "size=S", "size=missing")
    flags = ("flag=False", "flag=True", "flag=missing")
    assert data.feature_names == ("whole", *sizes, *flags, "number")
    assert data.features[1].nan_to_num(-1).tolist() == [-1, 0, 1, 0, 1, 0, 0, 2]
    assert data.targets.tolist() == [[0.25], [0.5], [0.125]]


def test_columns_of_neither_numbers_nor_text(tmp_path):
    when = pd.to_datetime(["2020-01-01", "2020-01-02"])
    pd.DataFrame({"a": [1, 2], "when": when, "list": [[1], [2]]}).to_parquet(tmp_path / "t.parquet")
    with pytest.raises(InputError, match="feature column 'when' is not numeric: it holds '2020-01"):
        load(tmp_path / "t.parquet", "a")
    pd.DataFrame({"a": [1, 2], "list": [[1], [2]]}).to_parquet(tmp_path / "t.parquet")
    with pytest.raises(InputError, match="target column 'list' holds neither numbers nor text: '"):
        load(tmp_path / "t.parquet", "list")


def test_parquet_that_cannot_be_read(tmp_path, monkeypatch):
    file = write(tmp_path, "a,b\n1,2\n", "t.parquet")
    with pytest.raises(InputError, match=r"'t\.parquet' is not a readable Parquet file: "):
        load(file, "b")
    with pytest.raises(InputError, match=r"did you mean 't\.parquet'"):
        read_parquet(tmp_path / "tt.parquet", "b")
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(
        InputError, match=r"needs pyarrow to be read: pip install 'plie\[parquet\]'"
    ):
        load(file, "b")
