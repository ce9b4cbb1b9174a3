"""What the report says in words and numbers."""

from __future__ import annotations

from typing import TYPE_CHECKING

from plie.statistics.words import listed

if TYPE_CHECKING:
    from plie.boundary import Straightness
    from plie.statistics import Comparison, Verdict
    from plie.study.results import StudyResult

# more leaders are counted, not named
_NAMED = 3


def headline(found: StudyResult) -> str:
    """The finding in one short sentence; the verdict follows it in full."""
    said = (found.robust or found).verdict()
    if said is None:
        return "Training diverged." if found.groups else "No network is trained yet."
    if not said.comparisons:
        return "There is nothing to compare."
    if said.comparisons[0].seeds == 1:
        return "One seed: no comparison is possible."
    return _claim(said)


def _claim(said: Verdict) -> str:
    if said.winner:
        return f"{said.winner} is best."
    findings = {made.finding for made in said.comparisons}
    if findings == {"too few seeds"}:
        return "Too few seeds to tell."
    if findings == {"no difference found"}:
        return "No difference found."
    if said.worse and len(said.leaders) <= _NAMED:
        return f"{listed(said.leaders)} lead."
    return f"No single best: {len(said.leaders)} of {len(said.leaders) + len(said.worse)} lead."


def against(baseline: str, made: tuple[Comparison, ...]) -> str:
    """How many candidates were found better than a baseline, in a sentence."""
    findings = [each.finding for each in made]
    if "too few seeds" in findings:
        return f"There are too few seeds to compare with {baseline}."
    counts = {name: findings.count(name) for name in ("better", "worse", "no difference found")}
    better, worse, same = counts.values()
    n = len(made)
    if better == n:
        every = {1: made[0].first, 2: "Both activations"}.get(n, f"All {n} activations")
        return f"{every} {'is' if n == 1 else 'are'} better than {baseline}."
    told = [f"{better} of {n} activations {'is' if better == 1 else 'are'} better than {baseline}"]
    told += [f"{worse} worse"] * (worse > 0) + [f"no difference was found for {same}"] * (same > 0)
    return f"{', '.join(told)}."


def percent(share: float) -> str:
    r"""A share with one decimal.

    >>> percent(0.98)
    '98.0\xa0%'
    """
    return f"{100 * share:.1f}\N{NO-BREAK SPACE}%"


def number(value: float) -> str:
    """Four significant digits, a power of ten where it is tiny.

    >>> number(0.012345), number(-1e-16), number(2.0), number(6675.2)
    ('0.01235', '\N{MINUS SIGN}1.0e\N{MINUS SIGN}16', '2.000', '6675')
    """
    text = f"{value:.1e}" if value and abs(value) < 1e-4 else f"{value:#.4g}"
    return text.removesuffix(".").replace("-", "\N{MINUS SIGN}")


def describe(found: Straightness) -> str:
    """The straightness of a boundary in words.

    >>> from plie.boundary import Straightness
    >>> describe(Straightness(reason="no boundary in view"))
    'no boundary in view'
    """
    if found.r2 is None or found.deviation is None:
        return found.reason
    return f"{found.share}, off by at most {number(found.deviation)}"
