"""What MkDocs calls: pieces of HTML go into the pages when these are finished."""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[2]))

from docs.site.places import BUILD, PIECES

_PIECE = re.compile(r'<div data-piece="([\w.-]+)"></div>')


def on_post_page(output: str, **_: object) -> str:
    """The page with its pieces."""
    return _PIECE.sub(lambda found: (PIECES / f"{found[1]}.html").read_text("utf-8"), output)


def on_config(config: dict[str, Any]) -> dict[str, Any]:
    """The menus, as `docs.site.navigation` has arranged them."""
    config["nav"] = json.loads((BUILD / "nav.json").read_text("utf-8"))
    return config
