"""A study: the same network with each activation on one data set, trained, measured, kept.

>>> import tempfile
>>> with tempfile.TemporaryDirectory() as there:
...     found = run("xor", ["relu", "tanh"], epochs=2, folder=there)
>>> [group.label for group in found.groups]
['logistic regression', 'MLP, identity', 'MLP, relu', 'MLP, tanh']
"""

from __future__ import annotations

from typing import Any

from plie.study.gather import load
from plie.study.grid import Study
from plie.study.jobs import Executor, Jobs, Progress
from plie.study.plan import Plan
from plie.study.records import FORMAT, Candidate, Cell, CellResult, Job, Points
from plie.study.results import Group, StudyResult
from plie.study.work import run_job


def run(
    data: Any = "xor",
    act: Any = ("relu",),
    *,
    progress: Progress | None = None,
    executor: str | Executor = "local",
    **settings: Any,
) -> StudyResult:
    """Run a `plie.Study` and write its report.

    Args:
        data: as in `plie.Study`.
        act: as in `plie.Study`.
        progress: as in `plie.Study.run`.
        executor: as in `plie.Study.run`.
        **settings: as in `plie.Study`.

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as there:
    ...     run("xor", epochs=1, folder=there).report.name
    'report.html'
    """
    found = Study(data, act, **settings).run(progress=progress, executor=executor)
    found.write_report()
    return found


__all__ = [
    "FORMAT",
    "Candidate",
    "Cell",
    "CellResult",
    "Executor",
    "Group",
    "Job",
    "Jobs",
    "Plan",
    "Points",
    "Progress",
    "Study",
    "StudyResult",
    "load",
    "run",
    "run_job",
]
