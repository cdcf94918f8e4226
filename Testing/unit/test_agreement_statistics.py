"""Agreement statistics against a published example, against pingouin's numbers, by hand and by simulation."""

import numpy as np
import pytest

from orthoangles.agreement_statistics import (
    describe_differences,
    intraclass_correlation,
    intraclass_interval,
    shorter_way,
)
from orthoangles.training import point_metrics

pytestmark = pytest.mark.unit

SHROUT_AND_FLEISS = np.array(
    [[9, 2, 5, 8], [6, 1, 3, 2], [8, 4, 6, 8], [7, 1, 2, 6], [10, 5, 6, 9], [6, 2, 4, 7]], float
)


def ratings(seed, images, readers, deviation, bias):
    draw = np.random.default_rng(seed)
    truth = draw.normal(20, 10, (images, 1))
    return truth + draw.normal(0, deviation, (images, readers)) + bias * np.arange(readers)


# ICC(2,1) and its 95 % interval by pingouin 0.7.0, intraclass_corr of these ratings, row ICC(A,1).
BY_PINGOUIN = [
    (SHROUT_AND_FLEISS, 0.28976377952755916, (0.01878651, 0.76108437)),
    (SHROUT_AND_FLEISS[:, :2], 0.12565445026178026, (-0.02365322, 0.59985148)),
    (ratings(1, 12, 2, 1.5, 0.5), 0.9582255117734605, (0.86758688, 0.98763855)),
    (ratings(2, 40, 3, 4.0, 0.0), 0.8644147689918925, (0.78430364, 0.9206141)),
    (ratings(3, 8, 2, 30.0, 0.0), -0.02024456709942767, (-0.80635006, 0.67853096)),
    (ratings(4, 100, 4, 2.0, 3.0), 0.8517954969737277, (0.4711811, 0.93988309)),
]


@pytest.mark.parametrize(("values", "icc", "interval"), BY_PINGOUIN)
def test_icc_and_interval_are_those_of_pingouin(values, icc, interval):
    assert intraclass_correlation(values) == pytest.approx(icc, abs=1e-12)
    assert intraclass_interval(values) == pytest.approx(interval, abs=1e-7)


def test_the_published_example():
    # Shrout and Fleiss 1979, table 4: ICC(2,1) = .29.
    assert round(intraclass_correlation(SHROUT_AND_FLEISS), 2) == 0.29


def test_the_networks_are_judged_by_the_same_number():
    values = ratings(5, 25, 2, 3.0, 1.0)
    values[3, 1] = np.nan
    kept = values[np.isfinite(values).all(axis=1)]
    assert point_metrics.intraclass_correlation(values[:, 0], values[:, 1]) == intraclass_correlation(kept)


def test_order_of_images_and_of_readers_does_not_matter():
    values = ratings(6, 20, 3, 3.0, 1.0)
    assert intraclass_interval(values[::-1, [2, 0, 1]]) == pytest.approx(intraclass_interval(values))


def test_perfect_agreement_a_constant_bias_and_what_has_no_icc():
    same = np.repeat(np.arange(10.0)[:, None], 2, axis=1)
    assert intraclass_correlation(same) == 1.0
    assert intraclass_interval(same) == (1.0, 1.0)
    biased = same + np.array([0, 4])
    assert intraclass_correlation(biased) < 0.6
    low, high = intraclass_interval(biased)
    # One degree of freedom for the readers: hardly anything is known.
    assert low < 0.05
    assert high > 0.85
    for none in (np.ones((5, 2)), same[:2], same[:, :1]):
        assert np.isnan(intraclass_correlation(none))
        assert np.isnan(intraclass_interval(none)).all()


def test_the_interval_holds_the_true_icc_as_often_as_it_says():
    # Readers drawn at random with a bias of their own: true ICC = 100 / (100 + 4 + 9).
    draw = np.random.default_rng(8)
    held = 0
    for _ in range(400):
        truth, bias = draw.normal(0, 10, (30, 1)), draw.normal(0, 2, (1, 4))
        low, high = intraclass_interval(truth + bias + draw.normal(0, 3, (30, 4)))
        held += low <= 100 / 113 <= high
    assert 0.92 <= held / 400 <= 0.98


def test_limits_of_agreement_and_their_intervals_by_hand():
    found = describe_differences(np.array([1.0, -1.0, 3.0, 1.0, 2.0]))
    deviation = np.sqrt(8.8 / 4)
    assert found.cases == 5
    assert found.bias == pytest.approx(1.2)
    assert found.limits == pytest.approx((1.2 - 1.96 * deviation, 1.2 + 1.96 * deviation))
    # t(0.975) with 4 degrees of freedom, from a printed table.
    assert found.bias_interval == pytest.approx(
        (1.2 - 2.776 * deviation / 5**0.5, 1.2 + 2.776 * deviation / 5**0.5), abs=1e-3
    )
    of_limit = 2.776 * deviation * np.sqrt(1 / 5 + 1.96**2 / 8)
    assert found.limit_intervals[1] == pytest.approx((found.limits[1] - of_limit, found.limits[1] + of_limit), abs=2e-3)
    assert (found.mean_absolute, found.largest) == (1.6, 3.0)


def test_they_are_the_limits_by_which_networks_are_judged():
    differences = np.random.default_rng(3).normal(1, 2, 40)
    figures = point_metrics.angle_figures(differences)
    found = describe_differences(differences)
    assert (found.bias, found.limits, found.mean_absolute) == (figures["bias"], figures["limits"], figures["mae"])


def test_the_intervals_of_the_limits_hold_them_about_as_often_as_they_say():
    draw = np.random.default_rng(9)
    held = np.zeros(3)
    for _ in range(1000):
        found = describe_differences(draw.normal(1, 2, 30))
        true = (1 - 1.96 * 2, 1 + 1.96 * 2, 1)
        intervals = (*found.limit_intervals, found.bias_interval)
        held += [low <= value <= high for value, (low, high) in zip(true, intervals, strict=True)]
    assert (np.abs(held / 1000 - 0.95) < 0.025).all()


def test_repeatability_is_what_two_readings_stay_within():
    draw = np.random.default_rng(10)
    differences = draw.normal(0, 1.5, 20000) - draw.normal(0, 1.5, 20000)
    found = describe_differences(differences)
    assert found.repeatability == pytest.approx(1.96 * np.sqrt(2) * 1.5, rel=0.02)
    assert (np.abs(differences) < found.repeatability).mean() == pytest.approx(0.95, abs=0.005)


@pytest.mark.parametrize(("values", "cases"), [([], 0), ([2.0], 1)])
def test_too_few_differences_have_no_limits(values, cases):
    found = describe_differences(np.array(values))
    assert found.cases == cases
    assert np.isnan(found.limits).all()
    assert np.isnan(found.limit_intervals).all()
    assert np.isnan(found.bias) == (cases == 0)


def test_an_angle_turns_the_shorter_way():
    assert shorter_way(np.array([358.0, -358.0, 10.0, -170.0])) == pytest.approx([-2.0, 2.0, 10.0, -170.0])
