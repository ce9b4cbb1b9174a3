"""What Jupyter and the terminal are given to show."""

import dataclasses
import io
from html.parser import HTMLParser

import pytest
from rich.console import Console

import plie
from plie import display, listing
from plie.activation import Source
from plie.terminal import sketch

VOID = {"br"}


class Page(HTMLParser):
    """Reads a fragment; fails where tags do not nest."""

    def __init__(self, text):
        super().__init__()
        self.open, self.tags, self.text, self.links = [], [], "", []
        self.feed(text)
        self.close()
        assert not self.open

    def handle_starttag(self, tag, attributes):
        self.tags.append(tag)
        self.links += [value for name, value in attributes if name == "href"]
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_startendtag(self, tag, attributes):
        self.tags.append(tag)

    def handle_data(self, data):
        self.text += data


def printed(renderable, width=80):
    page = io.StringIO()
    Console(file=page, width=width).print(renderable)
    return page.getvalue()


def test_jupyter_gets_formula_curves_facts_parameters_and_source():
    page = Page(plie.get("leaky_relu")._repr_html_())
    assert page.tags.count("svg") == 1
    for part in ("$$ f(x) =", "x if x > 0 else negative_slope*x", "0.01", "(−∞, ∞)", "Maas"):
        assert part in page.text
    assert "f′ jumps from 0.01 to 1" in page.text
    assert "x &amp; \\text{if }" in plie.get("leaky_relu")._repr_html_()


def test_tables_are_read_from_the_left_in_jupyter_too():
    # JupyterLab's `:not(.jp-RenderedMarkdown).jp-RenderedHTMLCommon td` has two classes
    assert ".plie.plie td { text-align: left" in display.html(plie.get("gelu"))


def test_the_picture_takes_the_colours_of_the_page():
    drawn = display.svg(plie.get("gelu"))
    assert drawn.startswith("<svg")
    assert "currentColor" in drawn
    assert "#010203" not in drawn
    assert "var(--class" not in drawn  # which a notebook does not define


@pytest.mark.parametrize("name", ["softmax", "swiglu"])
def test_functions_of_a_vector_have_neither_curves_nor_facts_but_show(name):
    page = Page(plie.get(name)._repr_html_())
    assert "svg" not in page.tags
    assert "$$" in page.text
    assert plie.get(name).title in printed(display.panel(plie.get(name)))


def hostile():
    text = '</div><script>alert("&")</script>$\\href{javascript:alert(1)}{x}$'
    source = Source(text, text, url="javascript:alert(1)")
    made = plie.define("x*sigmoid(beta*x)", name=text, title=text, beta=1.0)
    return text, dataclasses.replace(made, source=source, note=text, aliases=(text,), family=text)


def test_text_of_a_user_stays_text():
    text, activation = hostile()
    page = Page(display.html(activation))
    assert "script" not in page.tags
    assert text in page.text
    assert page.links == []


def test_text_of_a_user_is_not_typeset():
    assert "$" not in str(display.plain("a $x$ b")).replace("<span>$</span>", "")
    assert "\\" not in str(display.plain("\\(x\\)")).replace("<span>\\</span>", "")


def test_text_of_a_user_is_not_markup_in_the_terminal():
    made = plie.define("x*x", name="[bold]n[/nonsense]", title="[red]")
    assert "[red]  [bold]n[/nonsense]" in printed(display.panel(made), 120)


@pytest.mark.parametrize("width", [40, 80, 120])
def test_the_terminal_page_fits(width):
    for name in ("gelu", "siren", "pau"):
        lines = printed(sketch(plie.get(name), width), width).splitlines()
        assert max(map(len, lines)) <= width
        (title,) = [line for line in lines if "f′(x)" in line]
        assert ("f(x)" in title) == (width >= 80)
        assert any("⠁" <= letter <= "⣿" for line in lines for letter in line)


def test_the_sketch_of_relu_is_right():
    (left, *_, right) = printed(sketch(plie.get("relu"), 40, height=4), 40).splitlines()[1:5]
    assert left.rstrip()[-1] in "⠁⠂⠄⡀⠈⠐⠠⢀⠔⠊⠜⡠⢄⣀⠤⠒⠉⢀⡠⠴⡴⠞⠖⢠⣠⣰⠎"
    assert right.startswith("0 ")


def test_table_has_a_row_each_and_fits():
    names = [*plie.names(family="shrinkage"), "pau", "softmax"]
    names.append(max(plie.names(), key=len))
    for width in (40, 60, 80, 120, 200):
        lines = printed(listing.table(names, width), width).splitlines()
        assert len(lines) == 2 + len(names)
        assert max(map(len, lines)) <= width
        assert "…" not in lines[0]
        assert ("range" in lines[0]) == (width > 40)
        assert all(line.startswith(f"{name} ") for name, line in zip(names, lines[2:], strict=True))
    assert "C∞" in printed(listing.table(["gelu"]))
    assert printed(listing.table([])).count("name") == 1


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("gelu", "[−0.16997, ∞)"),
        ("relu", "x = 0, where f′ jumps from 0 to 1"),
        ("tanh", "f(x) → −1"),
        ("leaky_relu", "f(x) approaches 0.01 x"),
        ("selu", "stable at variance 1"),
        ("sigmoid", "for x < −4.3565 and x > 4.3565"),
    ],
)
def test_facts_in_words(name, words):
    assert any(words in value for _, value in display.fact_rows(plie.get(name).facts))


def test_find_looks_in_names_aliases_and_sources():
    assert "silu" in listing.find("swish")
    assert "gelu" in listing.find("HENDRYCKS")
    assert listing.find("no such words") == []
    with pytest.raises(plie.UnknownNameError):
        listing.find(family="nope")
