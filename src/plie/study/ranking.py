"""Several studies together: which activation ranks best over their data sets."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from plie.errors import InputError

if TYPE_CHECKING:
    from plie.statistics import Ranks
    from plie.study.results import StudyResult


def rank(studies: Sequence[StudyResult]) -> Ranks:
    """The ranks of those candidates that all studies have, by their mean test scores.

    Args:
        studies: one for each data set.

    Raises:
        InputError: fewer than two studies, two of the same data, or fewer than two candidates
            that all of them have.

    >>> import tempfile, plie
    >>> with tempfile.TemporaryDirectory() as there:
    ...     found = [
    ...         plie.Study(data, ["relu", "sin"], epochs=1, folder=f"{there}/{data}").run()
    ...         for data in ("xor", "moons")
    ...     ]
    ...     sorted(rank(found).average)
    ['identity', 'logistic regression', 'relu', 'sin']
    """
    from plie.statistics import ranks

    data = [str(study.record["data"]["name"]) for study in studies]
    if len(set(data)) < max(len(data), 2):
        raise InputError(f"ranks take studies of two or more data sets, not {', '.join(data)}")
    shared = [name for name in studies[0].named if all(name in each.named for each in studies)]
    if len(shared) < 2:
        raise InputError("ranks take two activations or more that all studies have")
    means = {
        name: [float(each.named[name].test.score.mean()) for each in studies] for name in shared
    }
    return ranks(means)
