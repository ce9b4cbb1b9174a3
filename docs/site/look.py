"""Looks at the built site as a reader does, in a browser: ``python -m docs.site.look FOLDER``.

Pages are opened as files, without a network: axe looks for what keeps people out, the search is
used, and pictures are taken at three widths in light and dark. Ends with 1 where axe finds
something serious, a page is wider than its window, or something is asked of the network.
"""

from __future__ import annotations

import shutil
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import sync_playwright

from docs.site.places import SITE

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

PAGES = ("index.html", "zoo/index.html", "zoo/gelu.html", "tour/06-sigmoid.html")
WIDTHS = (360, 1280, 1920)
SCHEMES = ("light", "dark")
_SERIOUS = ("serious", "critical")


def look(browser: Browser, folder: Path, pages: tuple[str, ...] = PAGES) -> list[str]:
    """What is wrong with the pages; their pictures go into ``folder``."""
    said: list[str] = []
    for scheme in SCHEMES:
        for width in WIDTHS:
            page = browser.new_page(color_scheme=scheme, viewport={"width": width, "height": 900})
            _listen(page, said)
            for name in pages:
                said += [
                    f"{name}, {scheme}, {width} px: {each}" for each in _seen(page, name, width)
                ]
                picture = f"{name.removesuffix('.html').replace('/', '-')}-{scheme}-{width}.png"
                page.screenshot(path=folder / picture)
            page.close()
    return said


def _listen(page: Page, said: list[str]) -> None:
    page.on("request", lambda asked: said.append(f"asks for {asked.url}") if _far(asked.url) else 0)
    page.on("pageerror", lambda error: said.append(f"script: {error}"))


def _far(address: str) -> bool:
    return not address.startswith(("file:", "data:", "blob:", "about:"))


def _seen(page: Page, name: str, width: int) -> list[str]:
    page.goto((SITE / name).resolve().as_uri())
    said = []
    wide = page.evaluate("document.documentElement.scrollWidth")
    if wide > width:
        said.append(f"is {wide} px wide")
    if width == WIDTHS[1]:
        found = Axe().run(page).response["violations"]
        for each in (v for v in found if v["impact"] in _SERIOUS):
            places = ", ".join(str(node["target"]) for node in each["nodes"][:3])
            said.append(f"{each['id']}: {each['help']} ({places})")
    return said


def searched(browser: Browser, words: str) -> list[str]:
    """Titles that the search finds from a file, without a network."""
    page = browser.new_page()
    page.goto((SITE / "index.html").resolve().as_uri())
    page.locator(".md-search__input").fill(words)
    page.wait_for_selector(".md-search-result__item h1")
    found: list[str] = page.locator(".md-search-result__item h1").all_inner_texts()
    return found


def tabled(browser: Browser) -> list[str]:
    """What is wrong with the table of the zoo: searched, sorted, and without any script."""
    address, said = (SITE / "zoo/index.html").resolve().as_uri(), []
    page = browser.new_page()
    page.goto(address)
    every = page.locator(".zoo-table tbody tr").count()
    page.locator(".zoo-search input").fill("hendrycks")
    names = page.locator(".zoo-table tbody tr:visible th small").all_inner_texts()
    if "gelu" not in names or len(names) > every / 10:
        said.append(f"the table, searched for an author, shows {names}")
    page.locator(".zoo-search input").fill("")
    page.get_by_role("button", name="Year").click()
    years = [int(text) for text in page.locator("tbody td.number").all_inner_texts() if text != "–"]
    if years != sorted(years):
        said.append("the table is not sorted by year")
    page.close()
    page = browser.new_page(java_script_enabled=False)
    page.goto(address)
    plain = page.locator(".zoo-table tbody tr:visible").count()
    if plain != every or page.locator(".zoo-search").is_visible():
        said.append(f"without scripts the table shows {plain} of {every} rows, or a dead search")
    page.close()
    return said


def main() -> None:
    """Look at the pages; the folder is made if it is not there."""
    folder = Path(sys.argv[1])
    folder.mkdir(parents=True, exist_ok=True)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"))
        said = look(browser, folder, tuple(sys.argv[2:]) or PAGES)
        said += tabled(browser)
        found = searched(browser, "gelu")
        browser.close()
    if not any("GELU" in title for title in found):
        said.append(f"the search for gelu finds {found}")
    print("\n".join(said) or "nothing serious found")
    sys.exit(bool(said))


if __name__ == "__main__":
    main()
