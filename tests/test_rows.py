"""What every row of the zoo says of itself: its names, its source, its formula's spelling."""

import ast
import importlib
import pkgutil
import re
from collections import Counter

import pytest
import torch

import plie
from plie import zoo

SNAKE = r"[a-z][a-z0-9]*(_[a-z0-9]+)*"
NAMES = plie.names()
FILES = [info.name for info in pkgutil.iter_modules(zoo.__path__)]


@pytest.fixture(params=NAMES)
def row(request):
    return plie.get(request.param)


def test_the_zoo_is_as_large_as_promised():
    assert len(plie.names(scalar=True)) >= 150


def test_names_are_unique_and_lower_snake_case():
    names = [name for row in map(plie.get, NAMES) for name in (row.name, *row.aliases)]
    assert [name for name, times in Counter(names).items() if times > 1] == []
    assert [name for name in names if not re.fullmatch(SNAKE, name)] == []
    titles = [plie.get(name).title for name in NAMES]
    assert len(set(titles)) == len(titles)
    assert [title for title in titles if not (title.isidentifier() and title.isascii())] == []


@pytest.mark.parametrize("file", FILES)
def test_a_file_is_one_family_by_year_and_name(file):
    rows = importlib.import_module(f"plie.zoo.{file}").ROWS
    assert len({row.family for row in rows}) == 1
    order = [(row.year, row.name) for row in rows]
    assert order == sorted(order)


def test_parameters_are_named_once_and_defaults_are_allowed(row):
    names = [name for p in row.parameters for name in (p.name, *p.aliases)]
    assert len(set(names)) == len(names)
    assert row.with_parameters(**row.values) == row


def test_no_default_is_the_identity():
    x = torch.linspace(-5, 5, 101, dtype=torch.float64)
    same = [n for n in plie.names(scalar=True) if torch.allclose(plie.get(n)(x), x, 1e-6, 1e-6)]
    assert same == ["identity"]


@pytest.mark.parametrize("name", plie.names(scalar=True))
def test_formulas_are_spelt_one_way(name):
    """As Python itself would write them, but for the spaces around * and /."""
    row = plie.get(name)
    for text in filter(None, (row.formula, row.training)):
        short = re.sub(r"(\d\.\d)\d{15,}", r"\1", text)  # floats have no more digits
        spelt = ast.unparse(ast.parse(short, mode="eval"))
        assert short == re.sub(r" (\*\*|\*|/) ", r"\1", spelt)
        # What the atoms expm1, log1p, sigmoid and Phi are for.
        assert not re.search(r"\bexp\([^()]*\) - 1|\blog\(1 [+-] |/\(1 \+ exp\(|\(1 \+ erf\(", text)


# --- sources ------------------------------------------------------------------------------------


def test_a_source_is_named_in_full(row):
    source = row.source
    assert source.title == source.title.strip() != ""
    assert not source.title.endswith(".")
    assert 1940 <= row.year <= 2026
    assert source.link() or source.where, "nobody could find it"
    for author in source.authors.split(", "):
        assert re.fullmatch(r"\w[\w.'’-]+( [\w.'’-]+)*", author), author
        assert author not in ("al.", "et al.", "others")


def test_identifiers_look_as_they_should(row):
    arxiv, doi = row.source.arxiv, row.source.doi
    if arxiv:
        assert re.fullmatch(r"\d{4}\.\d{4,5}", arxiv)
        assert len(arxiv) == (10 if arxiv >= "1501" else 9)
        assert 1 <= int(arxiv[2:4]) <= 12
        assert abs(2000 + int(arxiv[:2]) - row.year) <= 1
    if doi:
        assert re.fullmatch(r"10\.\d{4,9}/\S+", doi)
    assert re.fullmatch(r"(https://\S+)?", row.source.url)


def fields(entry):
    """A BibTeX entry's key and fields; fails where braces do not balance."""
    head, body = re.fullmatch(r"@misc\{([a-z0-9]+),\n(.*)\}", entry, re.DOTALL).groups()
    found, rest = {}, body
    while rest.strip():
        name, rest = re.fullmatch(r"  (\w+) = \{(.*)", rest, re.DOTALL).groups()
        depth, end = 1, 0
        while depth:
            depth += {"{": 1, "}": -1}.get(rest[end], 0)
            end += 1
        assert name not in found
        found[name], rest = rest[: end - 1], rest[end:].removeprefix(",").removeprefix("\n")
    return head, found


def test_a_citation_is_bibtex(row):
    key, entry = fields(row.cite())
    assert str(row.year) in key
    assert entry["title"].replace("\\", "") == row.source.title
    assert entry["author"].split(" and ") == row.source.authors.split(", ")
    assert entry["year"] == str(row.year)
    assert entry.get("eprint", "") == row.source.arxiv
    assert entry.get("archiveprefix") == ("arXiv" if row.source.arxiv else None)
    assert entry.get("doi", "") == row.source.doi
    assert entry.get("url", "") == row.source.link()
    for name in ("title", "author", "howpublished"):
        assert not re.search(r"(?<!\\)[&%$#_]", entry.get(name, ""))


def test_citation_keys_are_unique():
    keys = [fields(plie.get(name).cite())[0] for name in NAMES]
    assert len(set(keys)) == len(keys)


def test_a_citation_survives_any_source():
    source = plie.Source("{100% \\of} $x_1$ & #2", "Émile Ågren, 李 明", where="}{")
    key, entry = fields(plie.define("x*x", name="Ünïque β", year=2024, source=source).cite())
    assert key == "agren2024unique"
    assert entry["author"] == "Émile Ågren and 李 明"
    assert entry["howpublished"] == r"\textbraceright{}\textbraceleft{}"
    assert entry["title"] == (
        r"\textbraceleft{}100\% \textbackslash{}of\textbraceright{} \$x\_1\$ \& \#2"
    )
