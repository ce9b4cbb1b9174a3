"""What is computed once for the zoo and shipped: the facts and the tables.

Both are keyed by the whole formula with its parameter values, so that a changed row is
computed anew; tests compute rows again and compare. ``python -m plie.shipped`` writes both,
in two to three minutes; ``facts`` or ``tables`` after it writes one.
"""

from __future__ import annotations

import dataclasses
import functools
import json
import os
import sys
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING

from plie.store import decode

if TYPE_CHECKING:
    from collections.abc import Mapping

    from plie.facts import Facts

FILE = Path(__file__).parent / "zoo" / "facts.jsonl"


@functools.cache
def shipped() -> Mapping[str, Facts]:
    """The facts that ship with Plié by `Formula.spec`; none where the file is missing."""
    from plie.facts import Facts

    if not FILE.exists():
        return {}
    records = map(json.loads, FILE.read_text("utf-8").splitlines())
    return {spec: decode(Facts, record) for spec, record in records}


def write_facts() -> None:
    """Compute the facts of every scalar row and write them."""
    from rich.progress import track

    from plie import zoo
    from plie.facts import compute

    specs = sorted({zoo.get(name).as_formula() for name in zoo.names(scalar=True)}, key=str)
    lines = [encode(f.spec, compute(f)) for f in track(specs, "facts")]
    FILE.write_text("".join(lines), "utf-8")


def write_tables(workers: int) -> None:
    """Build the tables of every scalar row and of what learned ones share, f and f′."""
    from concurrent.futures import ProcessPoolExecutor

    import torch
    from rich.progress import track

    from plie.compiled.tables import SHIPPED, key

    jobs = table_jobs()
    with ProcessPoolExecutor(workers, initializer=torch.set_num_threads, initargs=(1,)) as pool:
        records = list(track(pool.map(_table, jobs), "tables", total=len(jobs)))
    found = sorted((key(*job), record) for job, record in zip(jobs, records, strict=True))
    with zipfile.ZipFile(SHIPPED, "w") as package:
        for name, record in found:
            entry = zipfile.ZipInfo(name, (2020, 1, 1, 0, 0, 0))  # the same bytes every time
            package.writestr(entry, record, zipfile.ZIP_DEFLATED, compresslevel=9)


def table_jobs() -> list[tuple[str, str]]:
    """(spec, variables) of every table that ships."""
    from plie import zoo
    from plie.compiled.family import family

    rows = [zoo.get(name) for name in zoo.names(scalar=True)]
    families = [family(row.as_formula(row.learnable).spec) for row in rows if row.learnable]
    shared = {term.spec for found in families if found for term in found.terms}
    specs = sorted({row.as_formula().spec for row in rows} | shared)
    return [(spec, variables) for spec in specs for variables in ("", "x")]


def _table(job: tuple[str, str]) -> bytes:
    from plie.compiled.tables import make

    return make(*job)


def encode(spec: str, facts: Facts) -> str:
    """One line of the file."""
    return json.dumps([spec, dataclasses.asdict(facts)]) + "\n"


if __name__ == "__main__":
    wanted = sys.argv[1:] or ["facts", "tables"]
    if "facts" in wanted:
        write_facts()
    if "tables" in wanted:
        write_tables(os.cpu_count() or 1)
