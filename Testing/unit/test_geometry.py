"""Line fits and angles."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from orthoangles.geometry import (
    ROBUST_LOSSES,
    angle_between,
    angle_between_lines,
    project,
    robust_line_fit,
    signed_angle,
    total_least_squares_line,
    welsch_line_fit,
)

pytestmark = pytest.mark.unit

angles = st.floats(-179.0, 179.0)
lengths = st.floats(0.01, 1e4)


def direction(degrees: float) -> np.ndarray:
    return np.array([math.cos(math.radians(degrees)), math.sin(math.radians(degrees))])


def undirected_error(fit, degrees: float) -> float:
    return float(angle_between_lines(fit.direction, direction(degrees)))


def segment_with_blob(degrees: float, share: float, rng: np.random.Generator) -> np.ndarray:
    """Pixels of a 4-pixel-wide segment 60 long, and a square of outliers with ``share`` as many pixels."""
    along, across = np.meshgrid(np.arange(60.0), np.arange(4.0) - 1.5)
    u = direction(degrees)
    line = along.reshape(-1, 1) * u + across.reshape(-1, 1) * np.array([-u[1], u[0]])
    side = round(math.sqrt(share * len(line)))
    blob = np.stack(np.meshgrid(np.arange(side), np.arange(side)), -1).reshape(-1, 2) * 1.0
    offset = rng.uniform(15, 35) * np.array([-u[1], u[0]]) * rng.choice([-1, 1]) + u * rng.uniform(0, 60)
    return np.vstack([line, blob + offset])


def test_total_least_squares_is_the_principal_axis_and_knows_no_special_vertical():
    vertical = np.array([[3.0, 0.0], [3.0, 5.0], [3.0, 9.0]])
    fit = total_least_squares_line(vertical)
    assert undirected_error(fit, 90.0) == pytest.approx(0.0, abs=1e-9)
    assert fit.centre == pytest.approx([3.0, 14 / 3])


def test_total_least_squares_minimises_orthogonal_distances():
    # A rectangle's corners: the long axis, by symmetry; y on x would tilt it for the turned rectangle.
    u, v = direction(30.0), direction(120.0)
    corners = np.array([5 * u + v, 5 * u - v, -5 * u + v, -5 * u - v])
    assert undirected_error(total_least_squares_line(corners), 30.0) == pytest.approx(0.0, abs=1e-9)


def test_weights_of_zero_leave_points_out():
    points = np.array([[0.0, 0.0], [1.0, 1.0], [2.0, 2.0], [5.0, -9.0]])
    fit = total_least_squares_line(points, np.array([1.0, 1.0, 1.0, 0.0]))
    assert undirected_error(fit, 45.0) == pytest.approx(0.0, abs=1e-9)


@pytest.mark.parametrize(("share", "limit"), [(0.0, 0.15), (0.1, 0.4), (0.2, 0.8), (0.3, 0.5), (0.5, 0.6)])
def test_welsch_fit_withstands_a_blob_of_outliers(share, limit):
    rng = np.random.default_rng(7)
    errors = []
    for _ in range(40):
        truth = rng.uniform(-90, 90)
        errors.append(undirected_error(welsch_line_fit(segment_with_blob(truth, share, rng)), truth))
    assert np.mean(errors) < limit


def test_least_squares_is_bent_by_the_same_blob():
    rng = np.random.default_rng(7)
    truth = 20.0
    assert undirected_error(total_least_squares_line(segment_with_blob(truth, 0.5, rng)), truth) > 2.0


def test_one_bad_handle_bends_nothing():
    handles = np.array([[0.0, 0.0, 0.0], [0.0, 10.0, 1.0], [0.0, 20.0, 2.0], [0.0, 30.0, 3.0], [40.0, 12.0, 9.0]])
    fit = welsch_line_fit(handles)
    assert angle_between(fit.direction, [0.0, 10.0, 1.0]) == pytest.approx(0.0, abs=1e-6)
    assert fit.weights == pytest.approx([1, 1, 1, 1, 0], abs=1e-9)


def losses_of_lines(points, loss, scale, centre, angle):
    """Sum of the loss over points (n, 2) for one line."""
    u = direction(angle)
    across = (points - centre) @ np.array([-u[1], u[0]])
    return ROBUST_LOSSES[loss].loss((across / (ROBUST_LOSSES[loss].tuning * scale)) ** 2).sum()


@pytest.mark.parametrize("loss", ["l2", "l1-l2", "fair", "huber", "welsch"])
def test_fit_is_a_minimum_of_its_loss(loss):
    points = segment_with_blob(25.0, 0.1, np.random.default_rng(3))
    fit = robust_line_fit(points, loss, scale=1.5)
    angle = math.degrees(math.atan2(fit.direction[1], fit.direction[0]))
    least = losses_of_lines(points, loss, 1.5, fit.centre, angle)
    across = np.array([-fit.direction[1], fit.direction[0]])
    for turn, shift in [(0.05, 0), (-0.05, 0), (0, 0.02), (0, -0.02), (0.05, 0.02), (-0.05, 0.02)]:
        assert losses_of_lines(points, loss, 1.5, fit.centre + shift * across, angle + turn) > least


def test_least_absolute_distances_leave_half_of_the_points_on_either_side():
    rng = np.random.default_rng(5)
    points = np.stack([np.linspace(0, 60, 201), rng.normal(0, 1, 201) ** 3], axis=1)
    fit = robust_line_fit(points, "l1")
    side = (points - fit.centre) @ np.array([-fit.direction[1], fit.direction[0]])
    assert abs((side > 0).sum() - (side < 0).sum()) <= 3


def test_without_robustness_the_fit_is_total_least_squares():
    points = segment_with_blob(70.0, 0.3, np.random.default_rng(1))
    plain = total_least_squares_line(points)
    assert angle_between_lines(robust_line_fit(points, "l2").direction, plain.direction) == pytest.approx(0, abs=1e-9)


def test_losses_withstand_outliers_in_the_order_of_their_tails():
    rng = np.random.default_rng(11)
    errors = {loss: [] for loss in ("l2", "huber", "welsch")}
    for _ in range(20):
        truth = rng.uniform(-90, 90)
        points = segment_with_blob(truth, 0.2, rng)
        for loss, values in errors.items():
            values.append(undirected_error(robust_line_fit(points, loss), truth))
    assert np.mean(errors["l2"]) > 2 * np.mean(errors["huber"]) > 20 * np.mean(errors["welsch"])


def test_an_unknown_loss_is_an_error():
    with pytest.raises(KeyError, match="cauchy"):
        robust_line_fit(np.eye(2), "cauchy")


def test_two_points_give_their_line_whatever_the_loss():
    for loss in ROBUST_LOSSES:
        fit = robust_line_fit(np.array([[1.0, 1.0], [4.0, 5.0]]), loss)
        assert fit.direction == pytest.approx([0.6, 0.8])


def test_scale_widens_what_counts_as_an_inlier():
    points = np.array([[0.0, 0.0], [10.0, 0.0], [20.0, 0.0], [30.0, 0.0], [15.0, 9.0]])
    assert welsch_line_fit(points, scale=1.0).weights[4] < 1e-3
    assert welsch_line_fit(points, scale=100.0).weights[4] > 0.99


def test_fit_runs_from_the_first_point_to_the_last():
    points = np.array([[0.0, 0.0], [1.0, 0.1], [2.0, -0.1], [3.0, 0.0]])
    assert welsch_line_fit(points).direction[0] > 0
    assert welsch_line_fit(points[::-1]).direction[0] < 0
    assert welsch_line_fit(points[[0, 3]]).direction == pytest.approx([1.0, 0.0])


@given(angles, st.floats(-1e3, 1e3), st.floats(-1e3, 1e3), st.floats(0.1, 50.0))
def test_fit_turns_moves_and_grows_with_its_points(turn, dx, dy, factor):
    points = np.array([[0.0, 0.0], [4.0, 0.5], [9.0, -0.4], [15.0, 0.2], [22.0, 0.1], [11.0, 12.0]])
    u = direction(turn)
    rotation = np.array([u, [-u[1], u[0]]])
    before = welsch_line_fit(points, scale=1.0)
    after = welsch_line_fit(factor * points @ rotation + [dx, dy], scale=factor)
    assert angle_between(before.direction @ rotation, after.direction) == pytest.approx(0.0, abs=1e-3)
    assert after.weights == pytest.approx(before.weights, abs=1e-4)


@pytest.mark.parametrize(
    ("points", "scale", "message"),
    [
        (np.zeros((1, 2)), 1.0, "two points or more"),
        (np.zeros((4, 2)), 1.0, "two different places"),
        (np.zeros(4), 1.0, "shape"),
        (np.array([[0.0, 0.0], [1.0, np.nan]]), 1.0, "finite"),
        (np.array([[0.0, 0.0], [1.0, 1.0]]), 0.0, "scale"),
    ],
)
def test_fit_refuses_what_makes_no_line(points, scale, message):
    with pytest.raises(ValueError, match=message):
        welsch_line_fit(points, scale=scale)


def test_signed_angle_is_clockwise_in_the_image():
    right, down = np.array([1.0, 0.0]), np.array([0.0, 1.0])
    assert signed_angle(right, down) == pytest.approx(90.0)
    assert signed_angle(down, right) == pytest.approx(-90.0)


def test_signed_angle_in_space_is_taken_after_projection():
    u, v = np.array([1.0, 0.0, 5.0]), np.array([1.0, 1.0, -3.0])
    assert signed_angle(u, v, np.array([0.0, 0.0, 2.0])) == pytest.approx(45.0)
    assert signed_angle(u, v, np.array([0.0, 0.0, -1.0])) == pytest.approx(-45.0)
    with pytest.raises(ValueError, match="normal"):
        signed_angle(u, v)


@given(angles, angles, lengths, lengths)
def test_angles_do_not_depend_on_length(a, b, m, n):
    u, v = direction(a), direction(b)
    difference = (b - a + 180.0) % 360.0 - 180.0
    assert abs(signed_angle(m * u, n * v)) == pytest.approx(abs(difference), abs=1e-6)
    assert angle_between(m * u, n * v) == pytest.approx(abs(difference), abs=1e-6)
    folded = min(abs(difference), 180.0 - abs(difference))
    assert angle_between_lines(m * u, -n * v) == pytest.approx(folded, abs=1e-6)


def test_tiny_angles_are_not_lost():
    assert angle_between([1.0, 0.0], [1.0, 1e-9]) == pytest.approx(math.degrees(1e-9), rel=1e-6)


def test_angles_are_vectorised():
    u = np.tile([1.0, 0.0], (5, 1))
    v = np.array([direction(d) for d in (0, 30, 60, 90, 120)])
    assert signed_angle(u, v) == pytest.approx([0, 30, 60, 90, 120])
    assert angle_between_lines(u, v) == pytest.approx([0, 30, 60, 90, 60])


def test_projection_removes_the_part_along_the_normal():
    n = np.array([0.0, 0.0, 1.0])
    assert project(np.array([[1.0, 2.0, 3.0], [0.0, 0.0, 5.0]]), n) == pytest.approx(np.array([[1, 2, 0], [0, 0, 0]]))
