"""Every link of the built site, followed on this disk: files, and places inside of them."""

from __future__ import annotations

import re
import sys
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urldefrag, urlsplit

from docs.site.places import SITE

# what a page loads by itself: on a disk without a network it must lie beside the page
_LOADED = {
    ("script", "src"),
    ("link", "href"),
    ("img", "src"),
    ("iframe", "src"),
    ("source", "src"),
}
_PLAIN_LINKS = ("canonical", "prev", "next", "alternate", "edit")


class _Links(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.anchors: set[str] = set()
        self.links: list[tuple[str, bool]] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {key: value or "" for key, value in attrs}
        self.anchors |= {given[key] for key in ("id", "name") if key in given}
        for key in ("href", "src"):
            if key in given:
                loaded = (tag, key) in _LOADED and given.get("rel") not in _PLAIN_LINKS
                self.links.append((given[key], loaded))


def read(page: Path) -> _Links:
    """The anchors and links of a page."""
    found = _Links()
    found.feed(page.read_text("utf-8"))
    return found


def broken(site: Path) -> list[str]:
    """Links that lead nowhere, each with its page; and what a page would load from elsewhere."""
    pages = {path.resolve(): read(path) for path in site.rglob("*.html")}
    said = []
    for path, page in pages.items():
        for link, loaded in sorted(set(page.links)):
            if wrong := _wrong(site.resolve(), path, link, loaded, pages):
                said.append(f"{path.relative_to(site.resolve())}: {link} {wrong}")
    return said + [
        f"{style.relative_to(site)}: {link} is not on this disk"
        for style in site.rglob("*.css")
        for link in re.findall(r"url\((https?://[^)]+)\)", style.read_text("utf-8"))
    ]


def _wrong(site: Path, path: Path, link: str, loaded: bool, pages: dict[Path, _Links]) -> str:
    address = urlsplit(link)
    if address.scheme or link.startswith("//"):
        return "is not on this disk" if loaded and address.scheme != "data" else ""
    file, anchor = urldefrag(link)
    # a page for errors has links from the site's root, wherever it is shown
    start = site if file.startswith("/") else path.parent
    target = (start / unquote(file.partition("?")[0]).lstrip("/")).resolve() if file else path
    if not target.is_file():
        return "leads to no file"
    if anchor and target in pages and not anchor.startswith("__"):
        return "" if unquote(anchor) in pages[target].anchors else "leads to no place in the file"
    return ""


def main() -> None:
    """Check the built site; end with 1 where a link is broken."""
    said = broken(SITE)
    print("\n".join(said) or "no broken link")
    sys.exit(bool(said))


if __name__ == "__main__":
    main()
