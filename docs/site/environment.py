"""The environment that MkDocs runs in: ``python -m docs.site.environment`` makes it beforehand."""

from __future__ import annotations

import os
import shutil
import subprocess
import venv
from pathlib import Path

from docs.site.places import BUILD, ROOT


def mkdocs() -> Path:
    """MkDocs in an environment of its own: it and torchattacks allow no common ``requests``."""
    wanted, folder = ROOT / "docs" / "requirements.txt", BUILD / "mkdocs"
    made = folder / wanted.name
    if not made.exists() or made.read_bytes() != wanted.read_bytes():
        venv.create(folder, clear=True, with_pip=True)
        pip = [str(_tool(folder, "python")), "-m", "pip", "install", "--quiet", "-r", str(wanted)]
        subprocess.run(pip, check=True)
        shutil.copy(wanted, made)  # last: an installation that was cut short is made again
    return _tool(folder, "mkdocs")


def _tool(folder: Path, name: str) -> Path:
    return folder / ("Scripts" if os.name == "nt" else "bin") / name


if __name__ == "__main__":
    mkdocs()
