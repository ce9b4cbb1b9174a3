"""The playground's page in a browser, as a person uses it; pictures of it are kept.

Without Chromium these tests are skipped. Pictures go to the folder that PLIE_PICTURES names.
"""

from __future__ import annotations

import os
import re
import shutil
import threading
import time
from pathlib import Path
from typing import Any

import pytest

sync_api = pytest.importorskip("playwright.sync_api")
expect = sync_api.expect
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("chrome")
pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="there is no Chromium")

WIDTHS = (360, 1280, 2560)
PATIENCE = 30_000  # ms: the machine may be busy


@pytest.fixture(scope="module")
def address() -> Any:
    """Of a running playground."""
    from plie.playground.serving import prepare

    server, listening, address = prepare(port=0, processes=1)
    running = threading.Thread(target=server.run, kwargs={"sockets": [listening]}, daemon=True)
    running.start()
    while not server.started:
        time.sleep(0.02)
    yield address
    server.should_exit = True
    running.join(10)


@pytest.fixture(scope="module")
def browser() -> Any:
    with sync_api.sync_playwright() as engine:
        made = engine.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield made
        made.close()


@pytest.fixture
def visit(address: str, browser: Any) -> Any:
    """Opens a page; it must not have complained when the test is over."""
    contexts: list[Any] = []
    complaints: list[str] = []

    def open_page(hash_: str = "", **options: Any) -> Any:
        context = browser.new_context(**{"viewport": {"width": 1280, "height": 900}, **options})
        context.set_default_timeout(PATIENCE)
        contexts.append(context)
        page = context.new_page()
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.on("console", lambda m: m.type == "error" and complaints.append(m.text))
        page.on("request", lambda r: r.url.startswith((address, "data:", "blob:")) or
                complaints.append(f"asked elsewhere: {r.url}"))  # fmt: skip
        page.goto(address + "/" + hash_)
        expect(page.locator("#accuracy-0")).to_contain_text("%", timeout=PATIENCE)
        return page

    yield open_page
    for context in contexts:
        context.close()
    assert complaints == []


def percent(page: Any, network: int = 0) -> float:
    text = page.locator(f"#accuracy-{network}").inner_text()
    found = re.search(r"([\d.]+) ?%", text)
    assert found, text
    return float(found[1])


def until(condition: Any, what: str) -> None:
    end = time.monotonic() + PATIENCE / 1000
    while not condition():
        assert time.monotonic() < end, what
        time.sleep(0.1)


def updates(page: Any) -> int:
    return int(re.sub(r"\D", "", page.locator("#updates").inner_text()) or 0)


def hash_of(page: Any) -> str:
    return str(page.evaluate("location.hash"))


def choose(page: Any, layer: int, name: str) -> None:
    """By the picker of a hidden layer, from 0, in that layer alone."""
    page.locator(f"#activation-{layer}").click()
    page.get_by_role("combobox", name="Search").fill(name)
    page.locator("#picker-all").uncheck()
    page.locator("#picker-list").get_by_role("option").first.click()


def train(page: Any, least: int) -> None:
    """Play until so many updates more are done, and pause."""
    before = updates(page)
    page.locator("#play").click()
    until(lambda: updates(page) >= before + least, f"{least} updates more")
    page.locator("#play").click()


def test_relu_solves_xor_and_identity_does_not(visit: Any) -> None:
    page = visit()
    page.locator("#play").click()
    until(lambda: percent(page) >= 95, "ReLU reaches 95 %")
    page.locator("#play").click()
    time.sleep(1)  # for what was under way
    stopped = updates(page)
    time.sleep(0.5)
    assert updates(page) == stopped
    choose(page, 0, "identity")
    choose(page, 1, "identity")
    page.locator("#reset").click()
    until(lambda: updates(page) == 0, "it begins anew")
    train(page, 300)
    assert 20 < percent(page) < 80  # at most three of the four blobs, but for misplaced points


def test_an_activation_is_changed_in_training(visit: Any) -> None:
    page = visit()
    page.locator("#play").click()
    until(lambda: updates(page) > 50, "it trains")
    choose(page, 1, "mish")
    expect(page.locator("#activation-1")).to_have_text("Mish")
    until(lambda: updates(page) > 100, "it goes on")
    expect(page.locator("#activation-0")).to_have_text("ReLU")


def test_a_formula_is_typed(visit: Any) -> None:
    page = visit()
    page.locator("#activation-0").click()
    page.locator("#formula").fill("x*tanh(1.5*x)")
    expect(page.locator("#formula-message")).to_contain_text("tanh(1.5*x)")
    page.locator("#formula-use").click()
    expect(page.locator("#activation-0")).to_contain_text("tanh(1.5*x)")
    train(page, 50)


def test_a_malicious_formula_is_refused_with_a_sentence(visit: Any) -> None:
    page = visit()
    page.locator("#activation-0").click()
    message = page.locator("#formula-message")
    for text in ("__import__('os').system('true')*x", "x.__class__", "fetch(x)", "9**9**9**9*x"):
        page.locator("#formula").fill("x")
        expect(message).not_to_have_class(re.compile("bad"))
        page.locator("#formula").fill(text)
        expect(message).to_have_class(re.compile("bad"))
        assert len(message.inner_text()) > 10
        expect(page.locator("#formula-use")).to_be_disabled()
    page.keyboard.press("Escape")
    train(page, 10)


@pytest.mark.parametrize(
    ("link", "says"),
    [
        ("#net=%3Cimg+src%3Dx+onerror%3Dalert(1)%3E", "not a formula"),
        ("#net=sliu", "did you mean 'silu'? The default"),
        ("#hidden=99", "from 1 to 64, not 99. The default"),
        ("#noise=9", "from 0 to 0.4, not 9. The default"),
        ("#lr=fast&hidden=3", "which is no number; the default"),
    ],
)
def test_a_link_that_cannot_be_followed_leads_to_the_default(
    visit: Any, link: str, says: str
) -> None:
    page = visit(link)
    expect(page.get_by_text(says).first).to_be_visible()
    assert page.locator("main img").count() == 0
    assert page.locator("#lr").input_value() == "0.01"
    assert hash_of(page) == ""


def test_a_link_has_no_hidden_layer(visit: Any) -> None:
    page = visit("#hidden=&v-speed=-7&v-ball=1e9")
    expect(page.locator("#network-name")).to_have_text("2 – 2")
    train(page, 10)


def test_points_come_from_a_csv(visit: Any, tmp_path: Path) -> None:
    rows = [f"{i % 7},{i % 5},{i % 3},{'red' if i % 7 > 3 else 'blue'}" for i in range(80)]
    file = tmp_path / "flowers.csv"
    file.write_text("\n".join(["length,width,other,kind", *rows]))
    page = visit()
    page.locator("#csv").set_input_files(file)
    expect(page.locator("#csv-columns")).to_be_visible()
    assert page.locator("#csv-x").input_value() == "length"
    page.locator("#csv-x").select_option("other")
    page.locator("#csv-x").select_option("length")
    train(page, 400)
    assert percent(page) > 90


def test_a_csv_that_cannot_be_read_is_told(visit: Any, tmp_path: Path) -> None:
    file = tmp_path / "wrong.csv"
    file.write_text("a\n1\n")
    page = visit()
    page.locator("#csv").set_input_files(file)
    expect(page.get_by_text("needs a header and three columns").first).to_be_visible()


def test_points_are_drawn(visit: Any) -> None:
    page = visit()
    page.locator("#draw").click()
    canvas = page.locator("#drawing-canvas")
    box = canvas.bounding_box()
    for label in (0, 1):
        page.locator("#drawing-classes label").nth(label).click()
        for i in range(8):
            x = box["x"] + box["width"] * (0.2 + 0.5 * label + 0.02 * i)
            page.mouse.click(x, box["y"] + box["height"] * (0.2 + 0.07 * i))
    page.locator("#drawing-use").click()
    expect(page.locator("#drawing")).not_to_be_visible()
    train(page, 200)
    assert percent(page) == 100


def test_the_link_brings_everything_back(visit: Any) -> None:
    page = visit()
    page.locator("#lr").fill("0.02")
    page.locator("#lr").press("Enter")
    page.locator("#layers-more").click()
    expect(page.locator("#activation-2")).to_be_visible()
    choose(page, 0, "gelu")
    page.locator("#data-sets").get_by_text("Moons").click()
    until(lambda: {"moons", "gelu"} <= set(re.split(r"\W", hash_of(page))), "the address follows")
    again = visit(hash_of(page))
    assert again.locator("#lr").input_value() == "0.02"
    expect(again.locator("#activation-0")).to_have_text("GELU")
    expect(again.locator("#activation-2")).to_have_text("ReLU")
    assert again.locator("#data-sets input:checked").input_value() == "moons"
    # the same seed: the same training
    for each in (page, again):
        each.locator("#step").click()
        until(lambda shown=each: updates(shown) == 1, "one update")
    assert page.locator("#accuracy-0").inner_text() == again.locator("#accuracy-0").inner_text()


def test_a_button_stays_while_layers_come_and_go(visit: Any) -> None:
    """Or a press of it that is under way would be lost."""
    page = visit()
    buttons = page.locator("#activation-0"), page.locator("#units-1-more")
    held = [button.element_handle() for button in buttons]
    for press, last in (("#layers-more", 2), ("#layers-more", 3), ("#layers-fewer", 2)):
        page.locator(press).click()
        expect(page.locator(f"#activation-{last}")).to_be_visible()
        expect(page.locator(f"#activation-{last + 1}")).to_have_count(0)
        heads = page.locator("#diagram-heads > *").all_inner_texts()
        assert [words.split("\n")[0] for words in heads] == [
            "Input", *(f"Layer {i + 1}" for i in range(last + 1)), "Output"
        ]  # fmt: skip
        assert page.locator("#diagram-feet > *").count() == len(heads)
        for button, before in zip(buttons, held, strict=True):
            assert button.evaluate("(now, before) => now === before", before)


def test_two_pages_are_apart(visit: Any) -> None:
    one, two = visit(), visit()
    train(one, 50)
    assert updates(two) == 0
    choose(two, 0, "tanh")
    expect(one.locator("#activation-0")).to_have_text("ReLU")


def test_the_lectures_slide_is_alive(visit: Any) -> None:
    page = visit()
    page.locator("#presets summary").click()
    page.get_by_role("button", name=re.compile("lecture")).click()
    expect(page.locator("#accuracy-3")).to_be_visible()
    train(page, 700)
    shares = [percent(page, i) for i in range(4)]
    assert shares[0] < 75
    assert shares[2] > 95
    assert shares[3] > 95


def test_an_adversary_is_seen_by_keyboard(visit: Any) -> None:
    page = visit()
    train(page, 200)
    page.locator("#networks canvas").first.focus()
    page.keyboard.press("ArrowRight")
    expect(page.locator("#probe")).to_contain_text("within ε = 0.3")


def test_the_keys_play_step_and_reset(visit: Any) -> None:
    page = visit()
    page.keyboard.press("s")
    until(lambda: updates(page) == 1, "one update")
    page.keyboard.press("Space")
    until(lambda: updates(page) > 20, "it plays")
    page.keyboard.press("Space")
    page.keyboard.press("r")
    until(lambda: updates(page) == 0, "it begins anew")


def test_code_a_study_and_a_picture_leave_the_page(visit: Any) -> None:
    page = visit()
    train(page, 5)
    page.locator("#share summary").click()
    page.locator("#share-code").click()
    expect(page.locator("#text-body")).to_contain_text("nn.Sequential(")
    page.keyboard.press("Escape")
    page.locator("#share summary").click()
    with page.expect_download() as saved:
        page.locator("#share-png").click()
    assert Path(saved.value.path()).read_bytes().startswith(b"\x89PNG")
    page.locator("#share summary").click()
    saved_files: list[Any] = []
    page.on("download", lambda file: saved_files.append(file))
    page.locator("#share-study").click()
    expect(page.locator("#text-body")).to_contain_text("plie study")
    until(lambda: page.wait_for_timeout(50) or len(saved_files) == 2, "the study and its points")
    page.keyboard.press("Escape")
    page.locator("#share summary").click()
    page.locator("#share-dance").click()
    expect(page.get_by_role("img", name="ReLU, dancing")).to_be_visible()
    picture = page.locator("#dance-picture")
    until(lambda: picture.evaluate("image => image.naturalWidth > 0"), "they dance")
    names = {each.suggested_filename for each in saved_files}
    assert names == {"study.yaml", "points.csv"}


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", WIDTHS)
def test_pictures_fit_their_width(visit: Any, width: int, scheme: Any) -> None:
    page = visit(viewport={"width": width, "height": 900}, color_scheme=scheme)
    page.locator("#presets summary").click()
    page.get_by_role("button", name=re.compile("lecture")).click()
    expect(page.locator("#accuracy-3")).to_be_visible()
    train(page, 100)
    wide = page.evaluate("document.documentElement.scrollWidth")
    assert wide <= width
    folder = os.environ.get("PLIE_PICTURES")
    if folder:
        Path(folder).mkdir(parents=True, exist_ok=True)
        page.screenshot(path=Path(folder, f"play-{width}-{scheme}.png"), full_page=True)


# Frames that were drawn; of those that come before one is, the last.
COUNTED = """
window.drawn = 0;
let waits = false;
window.WebSocket = class extends WebSocket {
  constructor(...given) {
    super(...given);
    this.addEventListener("message", ({ data }) => {
      if (typeof data === "string" || waits) return;
      waits = true;
      requestAnimationFrame(() => ((waits = false), window.drawn++));
    });
  }
};
"""


@pytest.mark.slow  # it needs two cores for itself
def test_thirty_frames_a_second(visit: Any) -> None:
    page = visit("#hidden=16,16")
    page.add_init_script(COUNTED)
    page.reload()
    page.locator("#play").click()
    page.wait_for_timeout(2000)
    began, trained, drawn = time.monotonic(), updates(page), page.evaluate("drawn")
    page.wait_for_timeout(8000)
    seconds = time.monotonic() - began
    rate = (page.evaluate("drawn") - drawn) / seconds
    print(f"{rate:.1f} frames and {(updates(page) - trained) / seconds:.0f} updates a second")
    assert rate >= 30


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_nothing_serious_keeps_anyone_out(visit: Any, scheme: Any) -> None:
    axe = pytest.importorskip("axe_playwright_python.sync_playwright").Axe()
    page = visit(color_scheme=scheme)
    train(page, 20)

    def serious() -> list[str]:
        found = axe.run(page).response["violations"]
        return [each["id"] for each in found if each["impact"] in ("serious", "critical")]

    assert serious() == []
    page.locator("#activation-0").click()
    assert serious() == []
