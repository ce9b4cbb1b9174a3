"""The lecture as a guided tour: each page is what its example printed and drew when it was run."""

from __future__ import annotations

import functools
import html
import json
import os
import re
import shutil
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from docs.site.page import Page, front, plain, table
from docs.site.places import BUILD, PAGES, ROOT

EXAMPLES = ROOT / "examples"
RUNS = BUILD / "examples"
_STEPS = 15  # of the lecture; the last is that anyone can run the others


@dataclass(frozen=True)
class Step:
    """One example that was run."""

    path: Path
    seconds: float
    cells: list[dict[str, Any]]

    @property
    def number(self) -> int:
        """Its place in the lecture."""
        return int(self.path.name[:2])

    @property
    def page(self) -> str:
        """The page's path."""
        return page_of(self.path)

    @property
    def title(self) -> str:
        """The first heading, without its mark."""
        return str(self.cells[0]["text"].partition("\n")[0].removeprefix("# "))

    @property
    def summary(self) -> str:
        """The first paragraph below the heading."""
        text = self.cells[0]["text"].partition("\n")[2].strip()
        return re.sub(r"\s+", " ", str(text.partition("\n\n")[0]))


def examples() -> list[Path]:
    """The examples of the lecture, in its order.

    >>> examples()[1].name
    '02_two_losses.py'
    """
    return sorted(EXAMPLES.glob("[0-9][0-9]_*.py"))


def page_of(example: Path) -> str:
    """The page of an example.

    >>> page_of(Path("examples/06_sigmoid.py"))
    'tour/06-sigmoid.md'
    """
    return f"tour/{example.stem.replace('_', '-')}.md"


def run(paths: list[Path], processes: int) -> list[Step]:
    """Run examples, each in a process of its own with warnings as errors.

    Raises:
        SystemExit: where one fails, with what it said.
    """
    threads = max(1, (os.cpu_count() or 1) // processes)
    with ThreadPoolExecutor(processes) as pool:
        return list(pool.map(functools.partial(_run, threads=threads), paths))


def _run(path: Path, threads: int) -> Step:
    folder = RUNS / path.stem
    shutil.rmtree(folder, ignore_errors=True)
    command = [sys.executable, "-W", "error", "-m", "docs.site.runner", str(path), str(folder)]
    environment = os.environ | {"OMP_NUM_THREADS": str(threads)}  # more would wait for each other
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True)
    if done.returncode:
        sys.exit(f"{path.name} failed:\n{done.stdout}{done.stderr}")
    step = read(path)
    print(f"  {path.name}: {step.seconds:.1f} s", flush=True)
    return step


def was_run(path: Path) -> bool:
    """Whether an earlier build ran the example."""
    return (RUNS / path.stem / "cells.json").exists()


def read(path: Path) -> Step:
    """What an example told when it was run."""
    told = json.loads((RUNS / path.stem / "cells.json").read_text("utf-8"))
    return Step(path, told["seconds"], told["cells"])


def others() -> list[Path]:
    """Examples beside the lecture, which run in other ways."""
    return sorted(set(EXAMPLES.glob("*.py")) - set(examples()))


def write(steps: list[Step], others: list[Path]) -> None:
    """All pages of the tour.

    Args:
        steps: that were run.
        others: examples beside the lecture, which run in other ways.
    """
    for step in steps:
        _write_step(step)
    _write_last(steps, others)
    _write_overview(steps)


def _write_step(step: Step) -> None:
    page = Page(step.page)
    page.add(front(title=f"{step.number}. {step.title}", description=step.summary))
    page.add_html(f'<p class="crumbs">Step {step.number} of {_STEPS}</p>')
    for cell in step.cells:
        if cell["kind"] == "markdown":
            page.add(cell["text"])
        else:
            _add_code(page, step, cell)
    page.add("## Run it", f"```sh\npython examples/{step.path.name}\n```")
    page.add(
        f"[{step.path.name}]({_download(step)}) is a script that [opens as a notebook]"
        "(../notebooks.md), too."
    )
    page.write()


def _add_code(page: Page, step: Step, cell: dict[str, Any]) -> None:
    if cell["text"]:
        page.add(f"```python\n{cell['text']}\n```")
    if cell["printed"].strip():
        printed = html.escape(cell["printed"].rstrip())
        page.add_html(f'<pre class="printed" tabindex="0">{printed}</pre>')
    for name in cell["figures"]:
        page.add(_figure(page, step, name))


def _figure(page: Page, step: Step, name: str) -> str:
    source = RUNS / step.path.stem / "figures" / name
    words = html.escape(Path(name).stem.partition("_")[2].replace("_", " "))
    if source.suffix == ".svg" and source.with_suffix(".png").exists():
        drawn = source.read_text("utf-8")
        return page.piece(f'<figure class="drawn"><div tabindex="0">{drawn}</div></figure>')
    target = PAGES / "tour" / "figures" / name
    target.parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(source, target)
    return f"![Figure: {words}](figures/{name}){{ .paper }}"


def _download(step: Step) -> str:
    target = PAGES / "tour" / "scripts" / step.path.name
    target.parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(step.path, target)
    return f"scripts/{step.path.name}"


def _write_last(steps: list[Step], others: list[Path]) -> None:
    page = Page(LAST)
    page.add(front(title=f"{_STEPS}. Run them all"))
    page.add_html(f'<p class="crumbs">Step {_STEPS} of {_STEPS}</p>')
    page.add(
        "# The code behind each figure can be run by anyone",
        "Every page of this tour was made by running its example: what is printed and drawn there "
        "is what this build of the pages got, with warnings as errors. The seconds are those of "
        "the machine that built them.",
    )
    rows = [
        [
            f"[{plain(step.title)}]({Path(step.page).name})",
            f"`{step.path.name}`",
            str(sum(1 for cell in step.cells if cell["kind"] == "code")),
            f"{step.seconds:.1f}",
        ]
        for step in steps
    ]
    page.add(table(["step", "example", "cells of code", "seconds"], rows, right=(2, 3)))
    page.add(
        "Each opens as a notebook, too: [how](../notebooks.md).",
    )
    if others:
        names = ", ".join(f"`examples/{path.name}`" for path in others)
        page.add(f"Beside the lecture there is {names}, which its own help explains (`--help`).")
    page.write()


LAST = "tour/15-run-them-all.md"


def _write_overview(steps: list[Step]) -> None:
    page = Page("tour/index.md")
    page.add(front(title="The tour", description="A lecture on activation functions, live."))
    page.add(
        "# The tour",
        "A university lecture on nonlinear activation functions (STAT 453, lecture 9.2) in "
        f"{_STEPS} steps. Each is an example that runs by itself; its page is what it printed "
        "and drew.",
    )
    items = [
        f'<li><a href="{Path(step.page).stem}.html"><b>{step.number}</b>'
        f"<span><strong>{html.escape(step.title)}</strong>"
        f"<small>{html.escape(step.summary.replace('`', ''))}</small></span></a></li>"
        for step in steps
    ]
    items.append(
        f'<li><a href="{Path(LAST).stem}.html"><b>{_STEPS}</b><span><strong>The code behind each '
        "figure can be run by anyone</strong><small>All examples, how long each takes, and how to "
        "open them as notebooks.</small></span></a></li>"
    )
    page.add_html(f'<ol class="steps">{"".join(items)}</ol>')
    page.write()
