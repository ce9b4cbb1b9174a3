"""Training in the compiled library."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from plie.many import Job
    from plie.train import History


def obstacle(job: Job) -> str:
    """Why these networks cannot be trained so; empty if they can."""
    return f"not yet for {job}"


def run(job: Job, progress: Callable[[float], None]) -> list[History | None]:
    """Train all members."""
    raise NotImplementedError(job, progress)
