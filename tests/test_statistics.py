"""Intervals, paired comparisons, ranks and the words for them, against scipy and the papers."""

import itertools
import math
import re
import time

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from plie.critical import diagram
from plie.errors import InputError, UnknownNameError
from plie.figures import svg
from plie.statistics import (
    Comparison,
    Interval,
    compare,
    holm,
    interval,
    ranks,
    sentence,
    verdict,
)
from plie.statistics.compare import seeds_needed

# --- intervals ------------------------------------------------------------------------------------


def coverage(draw, mean, n, samples=800):
    """The share of samples whose interval holds the true mean."""
    found = [interval(draw(n), resamples=1000) for _ in range(samples)]
    return sum(each.low <= mean <= each.high for each in found) / samples


@pytest.mark.parametrize("n", [2, 3, 5, 10, 20])
def test_intervals_cover_the_mean_of_normal_samples(n):
    rng = np.random.default_rng(n)
    assert 0.93 < coverage(lambda n: rng.normal(3, 2, n), 3, n) < 0.98


@pytest.mark.parametrize(("n", "least"), [(5, 0.87), (10, 0.91), (20, 0.925)])
def test_intervals_cover_the_mean_of_accuracies_near_1(n, least):
    """Student's t reaches 0.86, 0.90 and 0.92 here, the percentile bootstrap 0.79, 0.87, 0.90."""
    rng = np.random.default_rng(n)
    draw = lambda n: rng.binomial(360, rng.beta(60, 1.2, n)) / 360  # noqa: E731
    assert coverage(draw, 60 / 61.2, n) > least


def test_the_interval_is_never_narrower_than_students():
    values = [0.9, 0.95, 0.97, 0.98, 0.99, 0.99]
    found = interval(values)
    low, high = stats.t.interval(0.95, 5, np.mean(values), stats.sem(values))
    assert found.mean == np.mean(values)
    assert found.low <= low + 1e-12
    assert found.high >= high - 1e-12


def test_the_skewed_end_is_that_of_the_expanded_bca_bootstrap():
    """scipy's BCa at the confidence that expanded quantiles stand for."""
    values = -np.random.default_rng(1).exponential(1, 12)
    z = stats.t.ppf(0.975, 11) * math.sqrt(12 / 11)
    theirs = stats.bootstrap(
        (values,),
        np.mean,
        confidence_level=2 * stats.norm.cdf(z) - 1,
        method="BCa",
        rng=0,
        n_resamples=200_000,
    ).confidence_interval
    found = interval(values, resamples=200_000)
    student = np.mean(values) + stats.t.ppf(0.975, 11) * stats.sem(values)
    assert found.low == pytest.approx(theirs.low, abs=0.03 * (theirs.high - theirs.low))
    assert found.high == pytest.approx(student)


def test_one_value_has_no_interval_and_equal_ones_no_width():
    one = interval([0.9])
    assert (one.mean, math.isnan(one.low), math.isnan(one.high)) == (0.9, True, True)
    assert str(one) == "0.9"
    assert interval([0.1] * 7) == Interval(np.mean([0.1] * 7), *[np.mean([0.1] * 7)] * 2)


def test_two_values_give_students_interval():
    found = interval([0.90, 0.92])
    low, high = stats.t.interval(0.95, 1, 0.91, 0.01)
    assert (found.low, found.high) == (pytest.approx(low), pytest.approx(high))
    kept = interval([0.90, 0.92], within=(0, 1))
    assert (kept.low, kept.high) == (pytest.approx(low), 1)


@given(
    st.lists(st.floats(-1e3, 1e3), min_size=2, max_size=12), st.integers(0, 99), st.floats(-50, 50)
)
@settings(max_examples=40, deadline=None)
def test_intervals_know_no_order_and_move_with_the_values(values, seed, shift):
    found = interval(values, resamples=200)
    shuffled = np.random.default_rng(seed).permutation(values)
    again, moved = (
        interval(shuffled, resamples=200),
        interval(np.array(values) + shift, resamples=200),
    )
    scale = 1e-6 * (1 + max(map(abs, values)) + abs(shift))
    for end in ("mean", "low", "high"):
        assert getattr(again, end) == pytest.approx(getattr(found, end), abs=scale)
        assert getattr(moved, end) == pytest.approx(getattr(found, end) + shift, abs=scale)
    assert found.low <= found.mean <= found.high


def test_more_confidence_is_wider_and_the_seed_decides():
    values = [0.90, 0.93, 0.95, 0.96, 0.99, 0.91, 0.97]
    for confidence in (0.8, 0.99):
        found = interval(values, confidence)
        student = stats.t.interval(confidence, 6, found.mean, stats.sem(values))
        assert found.high - found.low == pytest.approx(np.ptp(student), rel=0.25)
    assert interval(values, seed=3) == interval(values, seed=3)
    skewed = -np.random.default_rng(1).exponential(1, 12)
    assert interval(skewed, seed=3) != interval(skewed, seed=4)


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ([], r"one row of numbers, not of shape \(0,\)"),
        ([[1.0]], r"not of shape \(1, 1\)"),
        ([0.9, math.inf, math.nan], "2 of 3 scores are not finite"),
        (["a"], "scores are numbers"),
    ],
)
def test_what_is_no_row_of_finite_numbers_is_refused(values, words):
    with pytest.raises(InputError, match=words):
        interval(values)


def test_confidence_and_resamples_have_bounds():
    with pytest.raises(InputError, match="confidence lies between"):
        interval([1, 2], 95)
    with pytest.raises(InputError, match="at least 100 resamples"):
        interval([1, 2], resamples=10)
    with pytest.raises(InputError, match="confidence lies between"):
        compare({"a": [1, 2], "b": [2, 1]}, confidence=0)


# --- comparisons ----------------------------------------------------------------------------------


@pytest.mark.parametrize("n", [1, 2, 3, 7, 12])
def test_p_is_that_of_every_choice_of_signs(n):
    """Counted by itself in whole numbers; accuracies of 50 rows have many ties."""
    rng = np.random.default_rng(n)
    for _ in range(8):
        a, b = rng.binomial(50, 0.9, (2, n)) / 50
        (found,) = compare({"a": a, "b": b})
        ways = [
            abs(np.dot(s, np.round(50 * (a - b)))) for s in itertools.product([1, -1], repeat=n)
        ]
        assert found.p == np.mean(np.array(ways) >= abs(np.round(50 * (a - b)).sum()))
        assert found.difference.mean == pytest.approx(np.mean(a - b))


def test_p_is_scipys():
    a, b = np.random.default_rng(4).normal(0, 1, (2, 11))
    theirs = stats.permutation_test(
        (a, b),
        lambda x, y: np.mean(x - y),
        permutation_type="samples",
        n_resamples=np.inf,
    )
    assert compare({"a": a, "b": b})[0].p == pytest.approx(theirs.pvalue)


@pytest.mark.parametrize("n", [24, 25, 60])
def test_with_many_seeds_p_nears_students(n):
    """By the central limit; 25 seeds and more are drawn, 24 counted."""
    rng = np.random.default_rng(n)
    a, b = rng.normal(0, 1, (2, n))
    for shift in (0, 0.4, 0.8):
        theirs = stats.ttest_rel(a, b + shift).pvalue
        assert compare({"a": a, "b": b + shift})[0].p == pytest.approx(theirs, abs=0.012)


def test_no_p_is_0_and_drawn_ones_follow_the_seed():
    table = {"a": np.arange(30) + 5.0, "b": np.arange(30)}
    assert compare(table)[0].p == pytest.approx(1e-5, rel=0.01)
    table["b"] = np.roll(table["b"], 1) + 4.2
    assert compare(table, seed=1)[0].p == compare(table, seed=1)[0].p
    assert compare(table, seed=1)[0].p != compare(table, seed=2)[0].p


def test_equal_candidates_are_seldom_told_apart():
    rng = np.random.default_rng(5)
    claims = 0
    for _ in range(200):
        table = rng.binomial(100, rng.beta(40, 1, (5, 10))) / 100
        made = compare(dict(zip("abcde", table, strict=True)))
        claims += any(each.finding in ("better", "worse") for each in made)
    assert 0 < claims <= 0.05 * 200 + 2 * math.sqrt(200 * 0.05 * 0.95)


def test_a_difference_that_is_there_is_found():
    rng = np.random.default_rng(6)
    a, b, c = rng.normal(0, 1, (3, 20))
    found = {(f.first, f.second): f for f in compare({"a": a + 3, "b": b, "c": c + 0.01})}
    assert found["a", "b"].finding == found["a", "c"].finding == "better"
    assert found["b", "c"].finding == "no difference found"
    lower = compare({"a": a + 3, "b": b}, higher=False)[0]
    assert (lower.finding, lower.difference.mean) == ("worse", found["a", "b"].difference.mean)


def test_rounding_makes_no_difference():
    a = np.array([0.1 + 0.2, 0.7 + 0.1, 0.3 + 0.6] * 4)
    b = np.array([0.3, 0.8, 0.9] * 4)
    assert (a != b).any()
    assert compare({"a": a, "b": b})[0].p == 1


@given(st.integers(0, 10**6), st.integers(6, 14))
@settings(max_examples=30, deadline=None)
def test_comparisons_know_no_order_of_seeds_and_no_common_shift(seed, n):
    rng = np.random.default_rng(seed)
    table = dict(zip("abc", rng.binomial(40, 0.9, (3, n)) / 40, strict=True))
    order = rng.permutation(n)
    same = compare({name: row[order] for name, row in table.items()})
    moved = compare({name: row + 7.3 for name, row in table.items()})
    scaled = compare({name: -100 * row for name, row in table.items()}, higher=False)
    for first, second, third, fourth in zip(compare(table), same, moved, scaled, strict=True):
        assert first.p == second.p == third.p == fourth.p
        assert first.finding == second.finding == third.finding == fourth.finding


def test_against_one_there_are_fewer_comparisons():
    table = {"a": [0.0] * 8, "b": [1.0] * 8, "c": [2.0] * 8}
    made = compare(table, against="b")
    assert [(each.first, each.second, each.finding) for each in made] == [
        ("a", "b", "worse"),
        ("c", "b", "better"),
    ]
    assert [each.p_holm for each in made] == [2 * each.p for each in made] == [2 / 128] * 2
    with pytest.raises(UnknownNameError, match="unknown candidate 'd'"):
        compare(table, against="d")


def test_too_few_seeds_are_said():
    table = {"a": np.arange(5) + 9.0, "b": np.arange(5)}
    (found,) = compare(table)
    assert (found.p, found.smallest_p, found.finding) == (0.0625, 0.0625, "too few seeds")
    (enough,) = compare({name: np.arange(6) + row[0] for name, row in table.items()})
    assert (enough.smallest_p, enough.finding) == (2 / 64, "better")
    # Holm's correction asks for more of them
    rows = np.arange(5)[:, None] + np.zeros((5, 8))
    made = compare(dict(zip("abcde", rows, strict=True)))
    assert {each.finding for each in made} == {"too few seeds"}
    assert seeds_needed(10) == 9
    made = compare(dict(zip("abcde", np.arange(5)[:, None] + np.zeros((5, 9)), strict=True)))
    assert {each.finding for each in made} == {"worse"}


@pytest.mark.parametrize(
    ("table", "words"),
    [
        ({"a": [1.0]}, "at least two candidates"),
        ({}, "at least one candidate"),
        ({"a": [1.0, 2.0], "b": [1.0]}, "a has 2 scores and b 1"),
        ({"a": [1.0, 2.0], "b": [1.0, math.nan]}, "b: 1 of 2 scores are not finite"),
    ],
)
def test_tables_that_cannot_be_compared_are_refused(table, words):
    with pytest.raises(InputError, match=words):
        compare(table)


# --- Holm -----------------------------------------------------------------------------------------


def test_holm_by_hand():
    """Sorted .005, .01, .03, .04 become 4 ⋅ .005, 3 ⋅ .01, 2 ⋅ .03 and, not to fall, .06."""
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert list(holm([0.9, 0.8])) == [1, 1]


@given(st.lists(st.floats(0, 1), min_size=1, max_size=30))
def test_holm_lies_between_p_and_bonferroni_and_keeps_the_order(p):
    corrected = holm(p)
    given_p = np.array(p)
    assert (corrected >= given_p).all()
    assert (corrected <= np.minimum(1, given_p * len(p))).all()
    assert (np.diff(corrected[np.argsort(given_p, kind="stable")]) >= 0).all()
    assert corrected[np.argmin(given_p)] == min(1, given_p.min() * len(p))


@given(st.lists(st.floats(0, 1), min_size=1, max_size=8))
def test_holm_rejects_what_closed_testing_rejects(p):
    """The closure of Bonferroni's test: all sets that hold a hypothesis are rejected."""
    p = np.array(p)
    sets = [list(s) for r in range(1, len(p) + 1) for s in itertools.combinations(range(len(p)), r)]
    for i, corrected in enumerate(holm(p)):
        closed = max(min(1, len(s) * p[s].min()) for s in sets if i in s)
        assert corrected == pytest.approx(closed)


# --- words ----------------------------------------------------------------------------------------


def comparison(mean, low, high, p, seeds=10, comparisons=3, higher=True):
    gap = Interval(mean, low, high)
    return Comparison("silu", "relu", gap, p / comparisons, p, seeds, comparisons, higher)


@pytest.mark.parametrize(
    ("given", "words"),
    [
        (
            comparison(0.012, 0.004, 0.020, 0.003),
            "silu is better than relu by 1.2 points (95 % interval 0.4 to 2.0, p = 0.003 after "
            "Holm's correction)",
        ),
        (
            comparison(-0.012, -0.020, -0.004, 0.0003, comparisons=1),
            "relu is better than silu by 1.2 points (95 % interval 0.4 to 2.0, p < 0.001)",
        ),
        (
            comparison(0.012, 0.004, 0.020, 0.04999, comparisons=1, higher=False),
            "relu is better than silu by 1.2 points (95 % interval 0.4 to 2.0, p = 0.04999)",
        ),
        (
            comparison(0.004, -0.002, 0.010, 0.1234),
            "no difference found between silu and relu (0.4 points, 95 % interval −0.2 to 1.0, "
            "p = 0.12 after Holm's correction)",
        ),
        (
            comparison(0.012, 0.004, 0.020, 0.0625, 5, 1),
            "too few seeds to tell silu from relu (1.2 points, 95 % interval 0.4 to 2.0): with 5 "
            "seeds no difference can reach p < 0.05, with 6 it can",
        ),
        (
            comparison(0.1, math.nan, math.nan, 1, 1, 3),
            "too few seeds to tell silu from relu (10 points): with 1 seed and 3 comparisons no "
            "difference can reach p < 0.05, with 7 it can",
        ),
    ],
)
def test_a_comparison_in_words(given, words):
    assert sentence(given) == words


def test_scores_that_are_no_shares_have_no_points():
    told = sentence(comparison(-1.25, -2.0, -0.5, 0.001, higher=False), points=False)
    assert told.startswith("silu is better than relu by 1.2 (95 % interval 0.5 to 2.0, p = 0.001")


def steps(*heights, n=12, sd=0.001, seed=0):
    """Candidates a, b, c … around the heights."""
    rng = np.random.default_rng(seed)
    return {
        name: height + rng.normal(0, sd, n)
        for name, height in zip("abcdefghijklmnop", heights, strict=False)
    }


@pytest.mark.parametrize(
    ("table", "pattern"),
    [
        (steps(0.97), r"a is at 97\.\d+ % \(95 % interval .*\); there is nothing to compare"),
        (steps(0.95, 0.97), r"b is better than a by (2\.0|1\.9)\d+ points \(95 %.*p < 0.001\)\.$"),
        (steps(0.97, 0.97), r"No difference found between . and . \(.*\)\.$"),
        (steps(0.97, 0.95, n=4), r"Too few seeds to tell a from b \(.*with 6 it can\.$"),
        (
            steps(0.95, 0.97, 0.93),
            r"b is best, at 9\d\.\d+ % \(95 .*\); a is worse by 1\.97 points and c by 3\.98 poi",
        ),
        (
            steps(0.97, 0.97, 0.9, 0.97, 0.95),
            r"([abd]), ([abd]) and ([abd]) lead, \1 at 97\.\d+ % \(95 .*\), with no difference "
            r"found among them; e is worse than \1 by 2\.\d+ points and c by 7\.\d+ points\.$",
        ),
        (
            steps(0.97, 0.96, 0.95, 0.94, 0.93, 0.92, n=20),
            r"a is best, at 96\.98.*; the other 5 are worse by 0\.98 to 4\.97 points\.$",
        ),
        (
            steps(0.97, 0.97, 0.97, 0.97, 0.97),
            r"No difference found among the 5 activations; the means run from 97\.\d\d+ % "
            r"\(.\) to 96\.\d\d+ % \(.\)\.$",
        ),
        (
            steps(0.97, 0.96, 0.95, n=6),
            r"Too few seeds to tell the 3 activations apart: with 6 seeds and 3 comparisons no "
            r"difference can reach p < 0\.05, with 7 it can; the means run from 97",
        ),
        (
            steps(*[0.97] * 8, 0.9, 0.8),
            r"([a-h])(, [a-h]){4} and 3 others lead, \1 at .*; i is worse than \1 by",
        ),
    ],
)
def test_the_verdict_in_words(table, pattern):
    text = str(verdict(table))
    assert re.match(pattern, text), text


def test_leaders_that_differ_among_themselves_are_not_called_alike():
    rng = np.random.default_rng(1)
    base = rng.normal(0.9, 0.001, 12)
    table = {"wild": 0.93 + rng.normal(0, 0.1, 12), "good": base + 0.01, "fair": base}
    found = verdict(table)
    assert set(found.leaders) == set(table)
    assert "no difference found between it and good or fair, though good is better than fair." in (
        found.text
    )


def test_where_lower_is_better():
    found = verdict(
        {"relu": [0.5, 0.6] * 5, "silu": [0.3, 0.4] * 5},
        higher=False,
        points=False,
        noun="networks",
    )
    assert (found.winner, found.worse) == ("silu", ("relu",))
    assert found.text.startswith("silu is better than relu by 0.2 (")


@given(st.integers(0, 10**6), st.integers(2, 9), st.integers(1, 14), st.booleans())
@settings(max_examples=60, deadline=None)
def test_the_verdict_matches_the_table(seed, k, n, higher):
    rng = np.random.default_rng(seed)
    table = rng.choice([0, 0.01, 0.05], k)[:, None] + rng.normal(0.5, 0.01, (k, n))
    scores = {f"c{i}": row for i, row in enumerate(table)}
    found = verdict(scores, higher=higher)
    sign = 1 if higher else -1
    best = max(scores, key=lambda name: sign * scores[name].mean())
    held = {frozenset((c.first, c.second)): c for c in compare(scores, higher=higher)}
    beaten = {
        name for name in scores if name != best and held[frozenset((best, name))].p_holm < 0.05
    }
    assert found.leaders[0] == best
    assert set(found.worse) == beaten
    assert set(found.leaders) == set(scores) - beaten
    assert found.winner == (best if len(beaten) == k - 1 else None)
    claims = any(c.p_holm < 0.05 for c in held.values())
    silent = "no difference found" in found.text.lower() or "Too few" in found.text
    assert claims or silent
    assert ("is best" in found.text or (k == 2 and "is better" in found.text)) == bool(found.winner)


def test_780_comparisons_take_no_time():
    rng = np.random.default_rng(0)
    for seeds in (20, 30):
        table = {f"c{i}": row for i, row in enumerate(rng.normal(0, 1, (40, seeds)))}
        start = time.process_time()
        assert len(verdict(table).comparisons) == 780
        assert time.process_time() - start < 4  # of both cores; 2 seconds on the clock


# --- ranks ----------------------------------------------------------------------------------------

# Demšar 2006, table 6: AUC of C4.5 and three variants on 14 data sets. Its average ranks follow
# when the two 0.975 of the last but one count as ranks 2 and 3: hence a digit more.
DEMSAR = np.array(
    [
        [0.763, 0.768, 0.771, 0.798],
        [0.599, 0.591, 0.590, 0.569],
        [0.954, 0.971, 0.968, 0.967],
        [0.628, 0.661, 0.654, 0.657],
        [0.882, 0.888, 0.886, 0.898],
        [0.936, 0.931, 0.916, 0.931],
        [0.661, 0.668, 0.609, 0.685],
        [0.583, 0.583, 0.563, 0.625],
        [0.775, 0.838, 0.866, 0.875],
        [1.000, 1.000, 1.000, 1.000],
        [0.940, 0.962, 0.965, 0.962],
        [0.619, 0.666, 0.614, 0.669],
        [0.972, 0.981, 0.9751, 0.975],
        [0.957, 0.978, 0.946, 0.970],
    ]
)
VARIANTS = ("C4.5", "C4.5+m", "C4.5+cf", "C4.5+m+cf")


def demsar():
    return dict(zip(VARIANTS, DEMSAR.T, strict=True))


def test_ranks_are_those_of_the_paper():
    found = ranks(demsar())
    assert [(name, round(rank, 3)) for name, rank in found.average.items()] == [
        ("C4.5+m+cf", 1.964),
        ("C4.5+m", 2.0),
        ("C4.5+cf", 2.893),
        ("C4.5", 3.143),
    ]
    # the paper does without the correction for ties, which makes χ² and F larger
    squares = sum(rank**2 for rank in found.average.values())
    chi = 12 * 14 / (4 * 5) * (squares - 4 * 5**2 / 4)
    assert chi == pytest.approx(9.28, abs=0.005)
    assert 13 * chi / (14 * 3 - chi) == pytest.approx(3.69, abs=0.005)
    assert found.friedman > 9.28
    assert found.iman_davenport > 3.69
    assert found.differ


def test_the_critical_difference_is_that_of_the_paper():
    """Its table 5(a): q for 2 to 10 classifiers at 0.05; its example over 14 data sets: 1.25."""
    published = (1.960, 2.343, 2.569, 2.728, 2.850, 2.949, 3.031, 3.102, 3.164)
    for k, q in enumerate(published, 2):
        table = {f"c{i}": np.arange(6) + i for i in range(k)}
        expected = q * math.sqrt(k * (k + 1) / 36)
        assert ranks(table).critical_difference == pytest.approx(expected, abs=0.002)
    assert ranks(demsar()).critical_difference == pytest.approx(1.25, abs=0.005)
    # 3.143 − 1.964 < 1.25: no pair can be told apart, although Friedman's test finds a difference
    assert ranks(demsar()).groups == (tuple(ranks(demsar()).average),)


@given(st.integers(0, 10**6), st.integers(3, 6), st.integers(2, 12))
@settings(max_examples=30, deadline=None)
def test_friedman_is_scipys_and_the_f_that_of_variance_over_ranks(seed, k, sets):
    table = np.random.default_rng(seed).integers(0, 5, (k, sets)) / 4
    ranked = stats.rankdata(-table, axis=0)
    if (ranked == ranked[0, 0]).all():
        return
    found = ranks({f"c{i}": row for i, row in enumerate(table)})
    theirs = stats.friedmanchisquare(*table)
    assert found.friedman == pytest.approx(theirs.statistic)
    assert found.friedman_p == pytest.approx(theirs.pvalue)
    between = sets * ((ranked.mean(axis=1) - (k + 1) / 2) ** 2).sum() / (k - 1)
    residual = ranked - ranked.mean(axis=1, keepdims=True)
    within = (residual**2).sum() / ((k - 1) * (sets - 1))
    if within > 1e-9:
        assert found.iman_davenport == pytest.approx(between / within)
        p = max(
            stats.f.sf(between / within, k - 1, (k - 1) * (sets - 1)),
            math.factorial(k) ** (1 - sets),
        )
        assert found.iman_davenport_p == pytest.approx(p)


def test_two_data_sets_that_agree_prove_nothing():
    found = ranks({"a": [1, 1], "b": [0, 0]})
    assert found.iman_davenport_p == pytest.approx(0.5)
    assert not found.differ
    assert str(found) == "Too few data sets to tell the 2 candidates apart: 2 cannot show any."
    # no order of five is likely by chance, but no two of them can be far enough apart
    five = ranks({name: [i, i] for i, name in enumerate("abcde")})
    assert five.iman_davenport_p < 0.05
    assert five.critical_difference > 4
    assert str(five).startswith("Too few data sets")


def test_equal_candidates_are_seldom_ranked_apart():
    rng = np.random.default_rng(7)
    for k, sets in ((2, 4), (3, 3), (5, 6)):
        claims = sum(
            len(ranks({f"c{i}": row for i, row in enumerate(rng.random((k, sets)))}).groups[0]) < k
            for _ in range(150)
        )
        assert claims <= 0.05 * 150 + 2 * math.sqrt(150 * 0.05 * 0.95)


def test_groups_are_the_longest_runs_within_the_critical_difference():
    rng = np.random.default_rng(8)
    found = ranks({f"c{i}": 0.8 * i + rng.normal(0, 1, 12) for i in range(10)})
    names, average = list(found.average), found.average
    alike = {
        (a, b)
        for a, b in itertools.combinations(names, 2)
        if average[b] - average[a] < found.critical_difference
    }
    joined = {pair for group in found.groups for pair in itertools.combinations(group, 2)}
    assert found.differ
    assert joined == alike
    for one, other in itertools.permutations(found.groups, 2):
        assert not set(one) <= set(other)
    assert len(found.groups) > 2


def test_where_friedman_finds_nothing_all_are_one_group():
    rng = np.random.default_rng(9)
    found = ranks({name: rng.random(10) for name in "abcd"})
    assert not found.differ
    assert found.groups == (tuple(found.average),)
    assert str(found).startswith(
        "No difference found among the 4 candidates over 10 data sets (p ="
    )
    tied = ranks({name: [1.0] * 5 for name in "abc"})
    assert (tied.friedman, tied.iman_davenport_p) == (0, 1)
    assert set(tied.average.values()) == {2}


def test_ranks_in_words():
    apart = {"silu": [3.0] * 9, "gelu": [2.0] * 9, "relu": [1.0] * 9}
    assert str(ranks(apart)) == (
        "silu ranks best over 9 data sets, 1.00 on average; it is better than relu; no difference "
        "found between it and gelu (critical difference 1.10, p < 0.001)."
    )
    two = {"silu": [3.0] * 12, "relu": [1.0] * 12}
    assert "; it is better than relu (critical" in str(ranks(two))
    assert re.match(
        r"Friedman's test finds that the 4 candidates differ over 14 data sets \(p = 0\.0\d+\), "
        r"but no two can be told apart \(critical difference 1\.25\)\.$",
        str(ranks(demsar())),
    )
    few = {name: rows[:4] for name, rows in apart.items()}
    assert str(ranks(few)).endswith("4 data sets can show only the largest differences.")
    assert "largest" not in str(ranks({name: rows[:5] for name, rows in apart.items()}))


def test_losses_rank_the_other_way_and_infinite_ones_last():
    losses = {"a": [0.1, math.inf, 0.3], "b": [0.2, 5.0, 0.4]}
    assert ranks(losses, higher=False).average == pytest.approx({"a": 4 / 3, "b": 5 / 3})
    assert list(ranks(losses).average) == ["b", "a"]


@given(st.integers(0, 10**6))
@settings(max_examples=20, deadline=None)
def test_ranks_know_neither_the_order_of_data_sets_nor_their_scales(seed):
    rng = np.random.default_rng(seed)
    table = rng.random((4, 7))
    moved = (table * rng.uniform(0.1, 9, 7) + rng.normal(0, 9, 7))[:, rng.permutation(7)]
    one, other = (ranks(dict(zip("abcd", rows, strict=True))) for rows in (table, moved))
    assert one == other


@pytest.mark.parametrize(
    ("table", "words"),
    [
        ({"a": [1, 2]}, "at least two candidates"),
        ({"a": [1], "b": [2]}, "at least two data sets"),
        ({"a": [1, 2], "b": [2]}, r"the same data sets; given: \[1, 2\]"),
        ({"a": [1, 2], "b": [math.nan, 1]}, "b: 1 score of 2 are nan"),
    ],
)
def test_tables_that_cannot_be_ranked_are_refused(table, words):
    with pytest.raises(InputError, match=words):
        ranks(table)


# --- the diagram ----------------------------------------------------------------------------------


def many(k, sets=12):
    rng = np.random.default_rng(k)
    rows = -np.linspace(0, 3, k)[:, None] + rng.normal(0, 0.6, (k, sets))
    return ranks({f"activation_{i}": row for i, row in enumerate(rows)})


def boxes(figure):
    figure.draw_without_rendering()
    return [text.get_window_extent() for text in figure.axes[0].texts]


@pytest.mark.parametrize("theme", ["light", "dark", "page"])
@pytest.mark.parametrize("k", [2, 3, 8, 20, 41])
def test_no_label_covers_another_or_leaves_the_figure(k, theme):
    figure = diagram(many(k), theme=theme)
    found = boxes(figure)
    assert len([1 for t in figure.axes[0].texts if "activation" in t.get_text()]) == k
    for one, other in itertools.combinations(found, 2):
        assert not one.overlaps(other)
    for box in found:
        assert box.x0 >= 0
        assert box.y0 >= 0
        assert box.x1 <= figure.bbox.width
        assert box.y1 <= figure.bbox.height


def test_lines_lead_to_their_own_labels_and_cross_no_other():
    found = many(9)
    figure = diagram(found)
    joints = [line.get_xydata() for line in figure.axes[0].lines if len(line.get_xdata()) == 3]
    labels = {
        re.search(r"activation_\d", text.get_text())[0]: text.get_position()[1]
        for text in figure.axes[0].texts
        if "activation" in text.get_text()
    }
    joints.sort(key=lambda points: points[0][0])
    assert [labels[name] for name in found.average] == [points[2][1] for points in joints]
    depths = np.diff([points[2][1] for points in joints])
    assert (depths[:4] > 0).all()
    assert (depths[5:] < 0).all()


def test_long_names_make_the_figure_wider_and_are_no_mathematics():
    k3 = ranks({"$a_b" * 10: [3.0] * 9, "x" * 44 + "y" * 40: [2.0] * 9, "relu": [1.0] * 9})
    figure = diagram(k3)
    assert figure.get_figwidth() > 8
    assert all(box.x0 >= 0 and box.x1 <= figure.bbox.width for box in boxes(figure))


def lines(figure, gid):
    return [line for line in figure.axes[0].lines if line.get_gid() == gid]


def test_bars_join_the_groups_and_the_ruler_is_the_critical_difference():
    found = many(8)
    figure = diagram(found)
    axis = max(figure.axes[0].lines, key=lambda line: line.get_linewidth() == 1.4)
    left, right = axis.get_xdata()
    unit = (right - left) / 7
    bars = [np.array(line.get_xdata()) for line in lines(figure, "group")]
    expected = [
        [left + unit * (found.average[name] - 1) for name in (group[0], group[-1])]
        for group in found.groups
    ]
    assert len(expected) > 1
    assert np.array(bars) == pytest.approx(np.array(expected) + np.array([-0.05, 0.05]))
    (ruler,) = lines(figure, "ruler")
    assert np.diff(ruler.get_xdata()) == pytest.approx(unit * found.critical_difference)


def test_bars_touch_only_what_they_join():
    for k in (8, 20, 41):
        bars = lines(diagram(many(k)), "group")
        for one, other in itertools.combinations(bars, 2):
            if one.get_ydata()[0] == other.get_ydata()[0]:
                left, right = sorted([list(one.get_xdata()), list(other.get_xdata())])
                assert left[1] < right[0]


def test_a_critical_difference_beyond_the_axis_has_no_ruler():
    figure = diagram(ranks({"a": [1.0, 2.0, 3.0], "b": [0.0, 1.0, 4.0]}))
    assert lines(figure, "ruler") == []
    assert any("beyond the axis" in text.get_text() for text in figure.axes[0].texts)


def test_the_page_gives_its_colours():
    drawn = svg(diagram(many(5), theme="page"), "ranks")
    assert "currentColor" in drawn
    assert "var(--class0)" in drawn
    with pytest.raises(UnknownNameError, match="unknown theme 'drak'; did you mean 'dark'"):
        diagram(many(3), theme="drak")


def test_a_verdict_on_shares_names_no_impossible_one():
    row = {"relu": [0.8, 0.99, 0.98]}
    ends = [
        float(re.search(r"interval \S+ to ([\d.]+)\)", str(said))[1])
        for said in (verdict(row), verdict(row, points=False))
    ]
    assert ends[0] == 100
    assert ends[1] > 1
