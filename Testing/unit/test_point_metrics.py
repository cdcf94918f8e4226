"""Figures of merit against values worked out by hand, by simulation or by another formula."""

import numpy as np
import pytest
from scipy import stats

from orthoangles.training import point_metrics as metrics

pytestmark = pytest.mark.unit

NAN, INF = float("nan"), float("inf")


def test_a_landmark_without_label_counts_nowhere_and_one_that_was_not_found_everywhere_but_in_the_mean():
    truth = np.array([[0.0, 0.0], [10.0, 0.0], [NAN, NAN], [5.0, 5.0]])
    predicted = np.array([[3.0, 4.0], [10.0, 1.0], [7.0, 7.0], [NAN, NAN]])
    errors = metrics.point_errors(truth, predicted)
    assert errors[[0, 1]] == pytest.approx([5.0, 1.0])
    assert np.isnan(errors[2])
    assert np.isinf(errors[3])
    assert metrics.mean_found(errors) == pytest.approx(3.0)
    assert metrics.share_within(errors, 2.0) == pytest.approx(1 / 3)


def test_an_error_at_the_limit_is_not_within_it():
    assert metrics.share_within(np.array([1.0, 2.0, 3.0, -1.5]), 2.0) == 0.5


def test_an_angle_goes_the_shorter_way_round():
    difference = metrics.angle_differences(
        np.array([179.0, -179.0, 10.0, NAN, 4.0]), np.array([-179.0, 179.0, 7.0, 1.0, NAN])
    )
    assert difference[:3] == pytest.approx([2.0, -2.0, -3.0])
    assert np.isnan(difference[3])
    assert np.isinf(difference[4])


def test_angle_figures_count_what_was_not_measured_as_beyond_every_limit():
    figures = metrics.angle_figures(np.array([1.0, -3.0, 5.0, INF, NAN]))
    assert (figures["cases"], figures["not_measured"]) == (4, 1)
    assert figures["mae"] == pytest.approx(3.0)
    assert figures["mae_sd"] == pytest.approx(2.0)
    assert (figures["within_3"], figures["within_5"]) == (0.25, 0.5)
    assert figures["bias"] == pytest.approx(1.0)
    assert figures["limits"] == pytest.approx((1 - 1.96 * 4, 1 + 1.96 * 4))


def test_icc_is_that_of_the_two_way_analysis_of_variance():
    first, second = np.array([9.0, 6, 8, 7, 10, 6]), np.array([8.0, 2, 6, 1, 5, 2])
    between = 2 * np.var((first + second) / 2, ddof=1)
    judges = 3 * (first.mean() - second.mean()) ** 2
    residual = np.var(first - second, ddof=1) / 2
    expected = (between - residual) / (between + residual + 2 * (judges - residual) / 6)
    assert metrics.intraclass_correlation(first, second) == pytest.approx(expected)
    assert metrics.intraclass_correlation(first, first) == pytest.approx(1.0)
    # A constant bias costs absolute agreement, which a plain correlation would not see.
    assert metrics.intraclass_correlation(first, first + 3) < 0.6


def test_rates_and_their_pooling_repeat_the_papers_arithmetic():
    counts = metrics.count_outcomes(
        [True, True, True, False, False, False, False, None], [True, True, False, False, False, True, None, True]
    )
    # The finding left open without the deformity being there is a false alarm, not a silent success.
    assert counts == metrics.Counts(2, 2, 1, 2)
    rates = (counts + metrics.Counts(8, 0, 1, 0)).rates()
    assert rates["accuracy"] == pytest.approx(12 / 16)
    assert rates["sensitivity"] == pytest.approx(10 / 12)
    assert rates["specificity"] == pytest.approx(2 / 4)
    assert rates["ppv"] == pytest.approx(10 / 12)
    assert rates["npv"] == pytest.approx(2 / 4)
    assert np.isnan(metrics.Counts(0, 0, 0, 4).rates()["sensitivity"])


def test_paired_tests_find_a_shift_that_pairing_alone_shows():
    rng = np.random.default_rng(1)
    hard = rng.uniform(1, 20, 40)
    first, second = hard + rng.normal(0, 0.2, 40), hard - 0.5 + rng.normal(0, 0.2, 40)
    first[3], second[5] = INF, NAN
    tests = metrics.paired_tests(first, second)
    assert tests["cases"] == 38
    assert tests["difference"] == pytest.approx(-0.5, abs=0.15)
    assert max(tests["t_p"], tests["wilcoxon_p"]) < 1e-4
    assert stats.ttest_ind(hard, hard - 0.5).pvalue > 0.5
    assert metrics.paired_tests(first, first)["t_p"] == 1.0


def test_auc_is_the_share_of_pairs_in_order_with_ties_half():
    scores = np.array([3.0, 1.0, 2.0, 2.0, 0.0])
    positive = np.array([True, True, False, True, False])
    pairs = [(a > b) + 0.5 * (a == b) for a in scores[positive] for b in scores[~positive]]
    assert metrics.area_under_curve(scores, positive) == pytest.approx(np.mean(pairs))
    assert np.isnan(metrics.area_under_curve(scores, np.ones(5, bool)))


def test_an_interval_over_persons_is_wider_than_one_that_takes_their_images_as_independent():
    rng = np.random.default_rng(2)
    of_person = rng.normal(0, 1, 30)
    values, persons = np.repeat(of_person, 10) + rng.normal(0, 0.1, 300), np.repeat(np.arange(30), 10)
    widths = [
        np.diff(metrics.resampled_interval(lambda rows: values[rows].mean(), groups))
        for groups in (persons, np.arange(300))
    ]
    assert widths[0] > 2 * widths[1]
    assert widths[0] == pytest.approx(2 * 1.96 * of_person.std() / 30**0.5, rel=0.2)


def test_persons_are_drawn_where_there_are_enough_of_them():
    groups, unit = metrics.resampling_groups(["a", "b", "c", "d", "e", "e"])
    assert unit == "person"
    assert len(np.unique(groups)) == 5
    groups, unit = metrics.resampling_groups(["a", "a", "b"])
    assert unit == "case"
    assert len(np.unique(groups)) == 3


def test_points_drawn_with_their_stated_spread_are_calibrated_and_covered():
    rng = np.random.default_rng(3)
    spread = rng.uniform(0.5, 4, 20000)
    distance = np.linalg.norm(rng.normal(size=(20000, 2)) * spread[:, None], axis=1)
    bins = metrics.calibration_bins(metrics.expected_distance(spread), distance)
    assert [each["count"] for each in bins] == [2000] * 10
    assert [each["observed"] for each in bins] == pytest.approx([each["expected"] for each in bins], rel=0.05)
    coverage = metrics.point_coverage(spread, distance)
    assert [coverage[level] for level in ("50", "90", "95")] == pytest.approx([0.5, 0.9, 0.95], abs=0.01)
    halved = metrics.point_coverage(spread / 2, distance)
    assert halved["95"] < 0.6


def test_values_drawn_with_their_stated_deviation_are_covered_and_missing_ones_are_not():
    rng = np.random.default_rng(4)
    deviation = rng.uniform(1, 3, 20000)
    error = rng.normal(size=20000) * deviation
    coverage = metrics.value_coverage(deviation, error)
    assert [coverage[level] for level in ("50", "90", "95")] == pytest.approx([0.5, 0.9, 0.95], abs=0.01)
    assert metrics.value_coverage(np.ones(4), np.array([0.0, 0.0, INF, NAN]))["95"] == pytest.approx(2 / 3)
    assert metrics.value_coverage(np.array([NAN]), np.array([1.0])) == {}
