"""The geometry of drawn angles."""

import numpy as np
import pytest

from orthoangles.scene.construction import construct_angle

pytestmark = pytest.mark.scene


def line(middle, degrees, length=40.0):
    along = np.array([np.cos(np.radians(degrees)), np.sin(np.radians(degrees)), 0.0])
    return np.stack([middle - along * length / 2, middle + along * length / 2])


def sweep(arc):
    steps = np.diff(arc, axis=0)
    turn = np.linalg.norm(np.cross(steps[:-1], steps[1:]), axis=1)
    angles = np.arctan2(turn, np.einsum("ij,ij->i", steps[:-1], steps[1:]))
    return np.degrees(angles.sum()) * len(steps) / (len(steps) - 1)


def turned(points, matrix):
    return points @ np.asarray(matrix).T


@pytest.mark.parametrize("degrees", [3.0, 10.0, 45.0, 89.0, 110.0, 150.0])
@pytest.mark.parametrize("side", [1, -1])
def test_the_arc_turns_through_the_angle(degrees, side):
    lines = np.stack([line([100.0, 50.0, 0.0], -side * degrees / 2), line([100.0, 200.0, 0.0], side * degrees / 2)])
    drawing = construct_angle(lines, degrees)
    assert sweep(drawing.arc) == pytest.approx(degrees, abs=0.01)


@pytest.mark.parametrize("degrees", [12.0, 40.0, 70.0])
@pytest.mark.parametrize("side", [1, -1])
def test_perpendiculars_stand_on_the_lines_and_cross_on_the_concave_side(degrees, side):
    lines = np.stack([line([100.0, 50.0, 0.0], -side * degrees / 2), line([100.0, 200.0, 0.0], side * degrees / 2)])
    drawing = construct_angle(lines, side * degrees)
    for leg, drawn, measured in zip(drawing.legs, drawing.lines, lines, strict=True):
        direction = measured[1] - measured[0]
        assert abs((leg[1] - leg[0]) @ direction) < 1e-9 * 40 * 200
        foot = leg[0] if np.allclose(leg[0], drawn[1]) else leg[1]
        np.testing.assert_allclose(foot, drawn[1], atol=1e-9)
        # The drawn line goes through both measured ends.
        assert np.linalg.norm(np.cross(measured - drawn[0], direction), axis=1).max() < 1e-6
    # A line that rises to the left converges with one that falls to the left there.
    concave = -side
    assert np.sign(drawing.outward[0]) == concave
    assert np.sign(drawing.label[0] - 100.0) == concave
    assert 50.0 < drawing.label[1] < 200.0
    # Everything stays near: no line runs to where the endplates themselves would meet.
    everything = np.concatenate([drawing.lines.reshape(-1, 3), drawing.legs.reshape(-1, 3), drawing.arc])
    assert np.abs(everything[:, 0] - 100.0).max() < 150.0


def test_lines_that_cross_nearby_carry_the_arc_at_their_crossing():
    lines = np.stack([line([0.0, 0.0, 0.0], 90.0), line([3.0, 38.0, 0.0], 70.0)])
    drawing = construct_angle(lines, 20.0)
    np.testing.assert_allclose(drawing.lines, lines, atol=1e-9)
    assert sweep(drawing.arc) == pytest.approx(20.0, abs=0.01)


@pytest.mark.parametrize("ahead", [1, -1])
def test_axes_of_long_bones_are_extended_to_where_they_cross(ahead):
    """Two metatarsals that would meet behind their bases, or ahead of their heads."""
    lines = np.stack([line([0.0, 0.0, 0.0], 90.0 - ahead * 10.0), line([-25.0, 0.0, 0.0], 90.0 + ahead * 10.0)])
    drawing = construct_angle(lines, 20.0, near=3.0)
    np.testing.assert_allclose(drawing.lines, lines, atol=1e-9)
    assert sweep(drawing.arc) == pytest.approx(20.0, abs=0.01)
    reach = 12.5 / np.tan(np.radians(10.0))
    vertex = np.array([-12.5, -ahead * reach, 0.0])
    radius = np.linalg.norm(drawing.arc - vertex, axis=1)
    np.testing.assert_allclose(radius, 20.0, atol=1e-9)
    for leg, measured in zip(drawing.legs, lines, strict=True):
        gap = measured[0] if ahead > 0 else measured[1]
        assert min(np.linalg.norm(end - gap) for end in leg) < 1e-9  # no gap between line and arc
        assert abs(np.linalg.norm(leg[1] - leg[0])) >= np.linalg.norm(gap - vertex) - 1e-9
    far = construct_angle(lines, 20.0)
    assert not np.allclose(far.lines, lines)


def test_an_obtuse_value_between_undirected_lines_is_drawn_as_given():
    lines = np.stack([line([100.0, 50.0, 0.0], -10.0), line([100.0, 200.0, 0.0], 190.0)])
    assert sweep(construct_angle(lines, 20.0).arc) == pytest.approx(20.0, abs=0.01)


def test_parallel_lines_have_no_arc():
    drawing = construct_angle(np.stack([line([100.0, 50.0, 0.0], 5.0), line([100.0, 200.0, 0.0], 5.0)]), 0.0)
    assert drawing.arc.shape == (0, 3)
    assert np.isfinite(drawing.lines).all()
    assert np.isfinite(drawing.label).all()
    same = line([0.0, 0.0, 0.0], 5.0)
    assert np.isfinite(construct_angle(np.stack([same, same]), 0.0).lines).all()


def test_any_plane_in_space_will_do():
    coronal = [[1.0, 0.0, 0.0], [0.0, 0.0, 1.0], [0.0, -1.0, 0.0]]
    lines = np.stack([line([100.0, 50.0, 0.0], -20.0), line([100.0, 200.0, 0.0], 25.0)])
    flat, upright = construct_angle(lines, 45.0), construct_angle(turned(lines, coronal), 45.0)
    np.testing.assert_allclose(turned(flat.arc, coronal), upright.arc, atol=1e-9)
    np.testing.assert_allclose(turned(flat.label, coronal), upright.label, atol=1e-9)
