"""Where the pages are made and the site is built; nothing is imported here."""

from __future__ import annotations

from pathlib import Path

ROOT = Path(__file__).parents[2]
BUILD = ROOT / "build"
PAGES = BUILD / "docs"  # what MkDocs reads
PIECES = BUILD / "pieces"  # what `hooks` puts into the finished pages
SITE = BUILD / "site"
