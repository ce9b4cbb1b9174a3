"""Makes the pages, builds the site and checks it: ``python -m docs.site``.

The examples run while it does so, each once and with warnings as errors. The site lies in
``build/site``; open ``index.html``, no server and no network is needed.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager

import torch

from docs.site import gallery, guides, links, measured, notebooks, reference, rows, tour
from docs.site.drawing import sparkline
from docs.site.environment import mkdocs
from docs.site.navigation import navigation
from docs.site.places import BUILD, PAGES, PIECES, ROOT, SITE
from plie import zoo


def main() -> None:
    """Everything, in order."""
    options = argparse.ArgumentParser(prog="python -m docs.site", description=__doc__)
    options.add_argument("--processes", type=int, default=os.cpu_count() or 1)
    options.add_argument("--keep-examples", action="store_true", help="those of the last build")
    given = options.parse_args()
    for folder in (PAGES, PIECES):
        shutil.rmtree(folder, ignore_errors=True)
    with _timed("examples"):
        chosen = tour.examples()
        kept = given.keep_examples and all(tour.was_run(path) for path in chosen)
        steps = [tour.read(p) for p in chosen] if kept else tour.run(chosen, given.processes)
        tour.write(steps, tour.others())
    with _timed("notebooks"):
        notebooks.check(chosen)
    with _timed("activations"):
        sparks = _activations(given.processes)
    with _timed("pages"):
        gallery.write(sparks)
        guides.write(sparks)
        measured.write()
        reference.write()
        (BUILD / "nav.json").write_text(json.dumps(navigation(steps)), "utf-8")
    with _timed("mkdocs"):
        # the line that its theme prints about the future of MkDocs
        environment = os.environ | {"NO_MKDOCS_2_WARNING": "1"}
        command = [str(mkdocs()), "build", "--strict", "--quiet"]
        if subprocess.run(command, cwd=ROOT, env=environment).returncode:
            sys.exit("the site was not built")
    with _timed("checks"):
        said = [f"{name} has no entry" for name in reference.missing(SITE)] + links.broken(SITE)
    if said:
        sys.exit("\n".join(said))
    print(f"{SITE / 'index.html'}: every public name has an entry, no link is broken")


def _activations(processes: int) -> dict[str, str]:
    """Every function's page; returns the small pictures of those that have a curve."""
    names = zoo.names()
    # one thread each: more would wait for each other
    with ProcessPoolExecutor(processes, initializer=torch.set_num_threads, initargs=(1,)) as pool:
        drawn = pool.map(_activation, names, chunksize=4)
        return {name: spark for name, spark in zip(names, drawn, strict=True) if spark}


def _activation(name: str) -> str:
    rows.write(name)
    activation = zoo.get(name)
    return sparkline(activation) if activation.is_scalar else ""


@contextmanager
def _timed(what: str) -> Iterator[None]:
    begin = time.perf_counter()
    yield
    print(f"{what}: {time.perf_counter() - begin:.1f} s", flush=True)


if __name__ == "__main__":
    main()
