"""What this installation runs on: versions, the evaluator and why, threads, tables."""

from __future__ import annotations

import platform
from dataclasses import dataclass


@dataclass(frozen=True)
class Info:
    """The state of an installation; printed, it is a few lines of text.

    Attributes:
        version: Plié's.
        torch: its version.
        python: its version.
        evaluator: avx512, avx2, neon or plain; "torch" where everything is torch operations.
        reason: why that one.
        gpu: what computes on a GPU, or why only torch operations do.
        threads: whose threads the evaluator runs on.
        tables: how many ship with the package.
        cache: the folder of tables compiled on this machine.

    >>> import plie
    >>> print(plie.info())  # doctest: +ELLIPSIS
    Plié ..., torch ..., Python ...
    evaluator: ...
    gpu: ...
    threads: ...
    tables: ... shipped; others are kept in ...
    """

    version: str
    torch: str
    python: str
    evaluator: str
    reason: str
    gpu: str
    threads: str
    tables: int
    cache: str

    def __str__(self) -> str:
        return "\n".join(
            [
                f"Plié {self.version}, torch {self.torch}, Python {self.python}",
                f"evaluator: {self.evaluator} ({self.reason})",
                f"gpu: {self.gpu}",
                f"threads: {self.threads}",
                f"tables: {self.tables} shipped; others are kept in {self.cache}",
            ]
        )


def info() -> Info:
    """Which evaluator is active, and why.

    >>> import plie
    >>> plie.info().evaluator in {"avx512", "avx2", "neon", "plain", "torch"}
    True
    """
    import torch

    import plie
    from plie.compiled import gpu
    from plie.compiled.native import status
    from plie.compiled.tables import folder, shipped_count

    library, reason = status()
    ready, what = gpu.status()
    threads = torch.get_num_threads()
    return Info(
        version=plie.__version__,
        torch=str(torch.__version__),
        python=platform.python_version(),
        evaluator=library.path if library else "torch",
        reason=reason,
        gpu=f"tables by {what}" if ready else f"torch operations ({what})",
        threads=f"{threads}, {library.threads if library else 'torch decides'}",
        tables=shipped_count(),
        cache=str(folder()),
    )
