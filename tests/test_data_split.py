"""Splits: disjoint, complete, stratified, and blind to all but the training part."""

import math
import re
from dataclasses import replace

import pytest
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from plie.data import TOYS, Dataset, Scale, load, moons, read_csv, wave, xor, xor_deviation
from plie.errors import InputError


def classes(counts, columns=2):
    labels = torch.arange(len(counts)).repeat_interleave(torch.tensor(counts))
    features = torch.arange(len(labels) * columns).reshape(-1, columns).float()
    names = tuple(f"x{i}" for i in range(columns))
    return Dataset(features, labels, names, tuple(map(str, range(len(counts)))), "made")


def numbers(n):
    x = torch.arange(2.0 * n).reshape(n, 2)
    return Dataset(x, x.sum(dim=1, keepdim=True) * 3 + 5, ("a", "b"), (), "line", ("y",))


SHARES = st.floats(0, 0.6)


@settings(max_examples=100, deadline=None)
@given(st.lists(st.integers(3, 40), min_size=1, max_size=5), SHARES, SHARES, st.integers(0, 99))
def test_parts_are_disjoint_complete_and_stratified(counts, validation, test, seed):
    assume(validation + test < 0.95)
    data = classes(counts)
    split = data.split(validation, test, seed, scale=False)
    rows = torch.cat([part.rows for part in split])
    assert sorted(rows.tolist()) == list(range(len(data)))
    for part, share in zip(split, [1 - validation - test, validation, test], strict=True):
        assert torch.equal(part.features, data.features[part.rows])
        assert torch.equal(part.labels, data.labels[part.rows])
        for count, got in zip(counts, part.labels.bincount(minlength=len(counts)), strict=True):
            assert (got > 0) == (share > 0)
            # each of two parts is rounded, and one point may have gone where there was none
            assert abs(got - share * count) <= 2 or share == 0


def test_shares_of_known_data():
    split = load("iris").split()
    assert [part.labels.bincount().tolist() for part in split] == [[30] * 3, [10] * 3, [10] * 3]
    assert [len(part) for part in load("diabetes").split()] == [266, 88, 88]


def test_seeded_and_global_state_left_alone():
    data, state = load("iris"), torch.get_rng_state()
    first, same, other = data.split(seed=1), data.split(seed=1), data.split(seed=2)
    assert torch.equal(state, torch.get_rng_state())
    for a, b, c in zip(first, same, other, strict=True):
        assert torch.equal(a.rows, b.rows)
        assert a.fingerprint == b.fingerprint
        assert not torch.equal(a.rows, c.rows)


def test_rows_are_mixed():
    """Mini-batches taken in order must not be of one class each."""
    assert not torch.equal(
        load("iris").split().train.rows.sort().values, load("iris").split().train.rows
    )


def test_rows_of_a_part_of_a_part():
    data = classes([20, 20])
    half = data.take(torch.arange(39, -1, -2))
    for part in half.split(scale=False):
        assert torch.equal(part.features, data.features[part.rows])


@pytest.mark.parametrize(
    "data", [classes([9, 9]), numbers(20), xor(), wave()], ids=lambda d: d.name
)
@pytest.mark.parametrize("scale", [True, False])
def test_parts_are_plain_tensors(data, scale):
    transposed = replace(data, features=data.features.t().contiguous().t().double())
    for source in (data, transposed):
        for part in source.split(scale=scale):
            assert part.features.dtype == torch.float32
            assert part.features.is_contiguous()
            assert part.targets.is_contiguous()
            wanted = torch.float32 if data.task == "regression" else torch.int64
            assert part.targets.dtype == wanted


def test_scaling_is_fitted_on_the_training_part():
    data = load("wine")
    split = data.split(seed=3)
    train = data.features[split.train.rows].double()
    mean, deviation = train.mean(0), train.std(0, correction=0)
    for part in split:
        expected = (data.features[part.rows] - mean) / deviation
        torch.testing.assert_close(part.features, expected.float())
    torch.testing.assert_close(split.scale.mean, mean)
    assert split.target_scale is None
    # Nothing that happens to the other rows is seen by the training part.
    others = torch.cat([split.validation.rows, split.test.rows])
    wild = data.features.clone()
    wild[others] *= 1000
    again = replace(data, features=wild).split(seed=3)
    assert torch.equal(again.train.features, split.train.features)


def test_regression_targets_are_scaled_and_told_in_their_units():
    data = load("diabetes")
    split = data.split()
    assert abs(split.train.targets.mean()) < 1e-6
    assert abs(split.train.targets.std(correction=0) - 1) < 1e-6
    for part in split:
        back = split.in_units(part.targets)
        torch.testing.assert_close(back, data.targets[part.rows])
    plain = data.split(scale=False)
    assert plain.scale is plain.target_scale is None
    assert plain.in_units(plain.test.targets) is plain.test.targets
    assert torch.equal(plain.test.targets, data.targets[plain.test.rows])


def test_constant_features_are_zero_everywhere():
    data = classes([10, 10], columns=3)
    features = data.features.clone()
    features[:, 1] = 0.1  # the mean of many of them is not 0.1
    rows = data.split().train.rows
    features[:, 2] = 5
    others = [i for i in range(20) if i not in rows.tolist()]
    features[others, 2] = 7  # constant in training, not beyond
    split = replace(data, features=features).split()
    for part in split:
        assert (part.features[:, 1:] == 0).all()
    back = split.scale.undo(split.train.features)
    torch.testing.assert_close(back, features[split.train.rows])


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_a_constant_is_seen_where_its_sum_is_rounded(dtype):
    values = torch.full((100_003, 1), 0.1, dtype=dtype)
    assert Scale.fit(values).deviation == 0


def test_scaled_features_are_contiguous():
    columns = torch.rand(3, 9, generator=torch.Generator().manual_seed(0)).t()
    assert not columns.is_contiguous()
    assert Scale.fit(columns).apply(columns).is_contiguous()


def test_images_share_one_scale_for_each_channel():
    pixels = torch.rand(40, 2 * 3 * 4, generator=torch.Generator().manual_seed(0))
    pixels[1:, 0] = 0  # a pixel that is black in all images but one
    scale = Scale.fit(pixels, (2, 3, 4))
    for channel in (slice(0, 12), slice(12, 24)):
        values = pixels[:, channel].double()
        torch.testing.assert_close(scale.mean[channel], values.mean().expand(12))
        deviation = values.std(correction=0).expand(12)
        torch.testing.assert_close(scale.deviation[channel], deviation)
    assert len(Scale.fit(pixels, (4, 6)).mean.unique()) == 1
    split = load("digits").split()
    assert split.test.features.abs().max() < 3
    assert split.test.image_shape == (8, 8)


@pytest.mark.parametrize("toy", TOYS.values(), ids=TOYS)
def test_toys_train_on_all_points_and_are_judged_on_new_ones(toy):
    data = toy(90, seed=5)
    split = data.split(scale=False)
    assert torch.equal(split.train.features, data.features)
    everything = torch.cat([part.features for part in split])
    assert len(everything) == 270
    assert len(everything.unique(dim=0)) == 270
    other = data.split(seed=1, scale=False)
    assert not torch.equal(other.test.features, split.test.features)
    assert torch.equal(data.split(scale=False).test.features, split.test.features)


def test_new_xor_points_are_scaled_as_the_training_points_were():
    """Forty points, so that their mean and deviation are far from the distribution's."""
    data = xor(40, seed=3)
    deviation = xor_deviation(0.01)
    from plie.data.toys import _xor

    raw = _xor(40, 3, deviation).features
    mean, spread = raw.mean(0), raw.std(0, correction=0)
    torch.testing.assert_close(data.features, ((raw - mean) / spread).float())
    fresh = data.again(11)
    expected = (_xor(40, 11, deviation).features - mean) / spread
    torch.testing.assert_close(fresh.features, expected.float())
    assert fresh.features.mean(0).abs().max() > 0.01
    for scale in (True, False):
        test = data.split(scale=scale).test.features
        assert test.mean(0).abs().max() > 0.01
        assert (test.std(0, correction=0) - 1).abs().max() > 0.001


def test_scaled_toys_draw_anew_in_scaled_units():
    split = wave(50).split()
    fresh = split.train.again(9)
    raw = wave(50, 9)
    torch.testing.assert_close(fresh.features, split.scale.apply(raw.features))
    torch.testing.assert_close(fresh.targets, split.target_scale.apply(raw.targets))


def test_changed_toys_are_a_finite_set():
    """New points from the old source would be of another distribution."""
    data = moons(100)
    moved = replace(data, features=data.features + 10)
    assert moved.again is None
    assert [len(part) for part in moved.split()] == [60, 20, 20]
    assert data.take(torch.arange(50)).again is None


def test_parts_can_be_left_out():
    data = classes([10, 10])
    assert [len(part) for part in data.split(validation=0)] == [16, 0, 4]
    assert [len(part) for part in data.split(test=0)] == [16, 4, 0]
    assert [len(part) for part in xor(20).split(validation=0, test=0.1)] == [20, 0, 20]
    assert [len(part) for part in wave(20).split(validation=0, test=0)] == [20, 0, 0]


def test_medians_come_from_the_training_part(tmp_path):
    values = [*range(40)]
    rows = "".join(f"{'' if i % 4 == 1 else v},{i % 2},{i}\n" for i, v in enumerate(values))
    file = tmp_path / "holes.csv"
    file.write_text(f"a,c,b\n{rows}", "utf-8")
    data = read_csv(file, "c", missing="impute")
    split = data.split(scale=False)
    train = data.features[split.train.rows][:, 0]
    known = sorted(train[~train.isnan()].tolist())
    middle = (known[(len(known) - 1) // 2] + known[len(known) // 2]) / 2
    for part in split:
        before = data.features[part.rows][:, 0]
        assert (part.features[before.isnan(), 0] == middle).all()
        assert torch.equal(
            part.features[~before.isnan()], data.features[part.rows][~before.isnan()]
        )
    assert any(data.features[part.rows].isnan().any() for part in (split.validation, split.test))
    scaled = data.split()
    assert not torch.cat([part.features for part in scaled]).isnan().any()
    assert abs(scaled.train.features.mean()) < 1e-6


def test_a_column_that_is_empty_in_training_is_named():
    data = classes([10, 10])
    features = data.features.clone()
    features[data.split().train.rows, 1] = math.nan
    with pytest.raises(InputError, match="column 'x1' has no value in the training part; leave it"):
        replace(data, features=features).split()


@pytest.mark.parametrize(
    ("data", "shares", "message"),
    [
        (
            classes([10, 2]),
            {},
            "class '1' has 2 rows; to be in all 3 parts of a split it needs 3",
        ),
        (
            classes([10, 1]),
            {"test": 0},
            "class '1' has 1 row; to be in all 2 parts of a split it needs 2",
        ),
        (numbers(2), {}, "'line' has 2 rows; to be in all 3 parts of a split it needs 3"),
        (
            classes([9]),
            {"test": 1},
            "test=1 is not allowed; a share lies from 0 to below 1",
        ),
        (
            classes([9]),
            {"validation": -0.1},
            "validation=-0.1 is not allowed; a share lies from 0 to below 1",
        ),
        (
            classes([9]),
            {"test": math.nan},
            "test=nan is not allowed; a share lies from 0 to below 1",
        ),
        (
            xor(8),
            {"validation": 0.5, "test": 0.5},
            "validation=0.5 and test=0.5 leave nothing to train on; "
            "together they must stay below 1",
        ),
    ],
)
def test_impossible_splits_are_refused(data, shares, message):
    with pytest.raises(InputError, match=f"^{re.escape(message)}$"):
        data.split(**shares)


def test_classes_that_need_few_parts_need_few_rows():
    assert [len(part) for part in classes([10, 2]).split(validation=0)] == [9, 0, 3]
    assert [len(part) for part in classes([1, 1]).split(validation=0, test=0)] == [2, 0, 0]
