"""The frame of measurement: values follow it and nothing else, on either foot, and reasons say what it lacks."""

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.feet import RIGHT_LPS, ap_foot, on_film, ordered, standing_angles, standing_foot

from orthoangles.measurement_frame import (
    SCANNER,
    MeasurementFrame,
    frame_axes,
    frame_on,
    ground_from_points,
    side_from_points,
)
from orthoangles.measuring import axis_lines, measure, plausibility
from orthoangles.protocols import load_protocol

pytestmark = pytest.mark.unit

WBCT = load_protocol("foot-wbct")
EXACT = 1e-6
IN_SPACE = [each.id for each in WBCT.measurements if each.plane is None and each.id != "calcaneal-pitch-3d"]

seeds = st.integers(0, 2**31)
vectors = st.tuples(*[st.floats(-1.0, 1.0)] * 3).map(np.array).filter(lambda v: np.linalg.norm(v) > 0.1)
places = st.tuples(*[st.floats(-2000.0, 2000.0)] * 3).map(np.array)


def foot(seed=0, *, left=False) -> np.ndarray:
    """(22, 3) LPS mm of a standing foot, a little different for each seed; a left one is the mirror image."""
    return ordered("foot-wbct", standing_foot(np.random.default_rng(seed))) * RIGHT_LPS * (-1 if left else 1, 1, 1)


def without(points, *names):
    """``points`` with these landmarks missing."""
    points = points.copy()
    points[[WBCT.index(name) for name in names]] = np.nan
    return points


def values(points, **facts) -> dict:
    return {m.id: m.value for m in measure(WBCT, points, **facts).measurements}


def rotation(axis: np.ndarray, degrees: float) -> np.ndarray:
    """(3, 3) by Rodrigues' formula."""
    x, y, z = axis / np.linalg.norm(axis)
    cross = np.array([[0, -z, y], [z, 0, -x], [-y, x, 0]])
    angle = np.radians(degrees)
    return np.eye(3) + np.sin(angle) * cross + (1 - np.cos(angle)) * cross @ cross


rotations = st.builds(rotation, vectors, st.floats(-180.0, 180.0))


# The frame itself


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"up": (0, 0, 0)}, "up is"),
        ({"up": (0, np.nan, 1)}, "up is"),
        ({"up": (0, np.inf, 1)}, "up is"),
        ({"up": (0, 1)}, "up has shape"),
        ({"forward": (0, 0, 0)}, "forward is"),
        ({"forward": (0, 0, -3)}, "forward runs along up"),
        ({"up": (1, 1, 0), "forward": (-2, -2, 0)}, "forward runs along up"),
        ({"ground": "floor"}, "expected one of scanner, landmarks, reader"),
    ],
)
def test_what_is_no_frame_is_refused(options, message):
    with pytest.raises(ValueError, match=message):
        MeasurementFrame(**options)


def test_directions_are_kept_as_unit_vectors_and_frames_compare():
    frame = MeasurementFrame(np.array([0.0, 0.0, 5.0]), [0.0, -3.0, 4.0])
    assert frame == MeasurementFrame(forward=(0.0, -0.6, 0.8))
    assert (frame.up, frame.forward) == ((0.0, 0.0, 1.0), (0.0, -0.6, 0.8))
    np.testing.assert_allclose(frame.ahead, [0.0, -1.0, 0.0], atol=1e-12)
    assert MeasurementFrame(**json.loads(json.dumps(frame.as_json()))) == frame


def test_only_a_level_frame_is_called_the_scanners():
    assert MeasurementFrame().ground == MeasurementFrame(forward=(0, -1, 0)).ground == "scanner"
    assert MeasurementFrame((0.0, 0.1, 1.0)).ground == "reader"
    assert MeasurementFrame((0.0, 0.1, 1.0), ground="landmarks").description == (
        "ground: from landmarks; foot axis: from landmarks"
    )
    assert MeasurementFrame((0.0, 0.1, 1.0), (0, 1, 0)).description == "ground: set by reader; foot axis: set by reader"


@given(vectors)
@settings(deadline=None)
def test_fixed_directions_turn_by_the_least_rotation(up):
    frame = MeasurementFrame(up)
    turn = frame.rotation
    np.testing.assert_allclose(turn @ [0.0, 0.0, 1.0], frame.up, atol=1e-9)
    np.testing.assert_allclose(turn @ turn.T, np.eye(3), atol=1e-9)
    assert np.linalg.det(turn) == pytest.approx(1.0)
    # A rotation by a turns by at least the angle between a vector and its image; here by no more.
    assert np.trace(turn) == pytest.approx(1 + 2 * frame.up[2], abs=1e-9)


def test_a_scan_that_stands_on_its_head_is_turned_over():
    np.testing.assert_allclose(MeasurementFrame((0, 0, -1)).rotation @ [0, 0, 1], [0, 0, -1])
    assert values(foot() * (1, -1, -1), frame=MeasurementFrame((0, 0, -1))) == pytest.approx(values(foot()), abs=EXACT)


# What is measured in it


@given(seeds, rotations, places, st.booleans())
@settings(deadline=None)
def test_angles_in_space_do_not_know_how_the_scan_lies(seed, turn, place, left):
    points = foot(seed, left=left)
    before, after = values(points), values(points @ turn.T + place)
    assert {name: after[name] for name in IN_SPACE} == pytest.approx(
        {name: before[name] for name in IN_SPACE}, abs=EXACT
    )


@given(seeds, rotations, places, st.booleans(), st.one_of(st.none(), st.floats(-80.0, 80.0)))
@settings(deadline=None)
def test_everything_stays_where_the_frame_is_turned_along(seed, turn, place, left, heading):
    points, forward = foot(seed, left=left), None
    if heading is not None:
        forward = rotation(np.array([0.0, 0.0, 1.0]), heading) @ [0.0, -1.0, 0.0]
    before = values(points, frame=MeasurementFrame(forward=forward))
    frame = MeasurementFrame(turn @ [0.0, 0.0, 1.0], None if forward is None else turn @ forward)
    assert values(points @ turn.T + place, frame=frame) == pytest.approx(before, abs=EXACT)


@given(seeds, rotations, places, st.booleans())
@settings(deadline=None)
def test_on_the_ground_of_the_landmarks_nothing_depends_on_the_scanner(seed, turn, place, left):
    found = []
    for points in (foot(seed, left=left), foot(seed, left=left) @ turn.T + place):
        frame, warnings = frame_on("landmarks", WBCT, points)
        assert warnings == ()
        found.append(values(points, frame=frame))
    assert found[1] == pytest.approx(found[0], abs=EXACT)


def test_projected_angles_do_depend_on_the_ground():
    before = values(foot())
    rolled, pitched = (values(foot() @ rotation(np.array(axis), 10.0).T) for axis in ((0.0, 1.0, 0.0), (1.0, 0.0, 0.0)))
    assert abs(rolled["talocalcaneal-angle-axial"] - before["talocalcaneal-angle-axial"]) > 1.0
    assert abs(pitched["calcaneal-pitch"] - before["calcaneal-pitch"]) == pytest.approx(10.0, abs=0.5)
    assert abs(pitched["calcaneal-pitch-3d"] - before["calcaneal-pitch-3d"]) > 9.0


leanings = st.tuples(*[st.floats(-0.3, 0.3)] * 2)


@given(seeds, leanings, leanings, st.booleans())
@settings(deadline=None)
def test_values_in_any_frame_are_those_of_trigonometry_along_its_axes(seed, up, forward, left):
    frame = MeasurementFrame((*up, 1.0), (forward[0], -1.0, forward[1]))
    points = foot(seed, left=left)
    lateral = np.cross(frame.ahead, frame.up) * (-1 if left else 1)
    own = points @ np.array([lateral, frame.ahead, frame.up]).T
    found = values(points, frame=frame)
    expected = standing_angles(dict(zip(WBCT.landmark_ids, own, strict=True)))
    expected["gissane-angle"] = abs((expected["gissane-angle"] + 180.0) % 360.0 - 180.0)  # the smaller one, unsigned
    turns = {name: (value - expected[name] + 180.0) % 360.0 - 180.0 for name, value in found.items()}
    assert turns == pytest.approx(dict.fromkeys(expected, 0.0), abs=EXACT)


@pytest.mark.parametrize("seed", range(5))
def test_a_mirrored_left_foot_in_a_mirrored_frame_has_the_same_values(seed):
    mirror = np.array([-1.0, 1.0, 1.0])
    up, forward = np.array([0.2, -0.1, 1.0]), np.array([0.3, -1.0, 0.0])
    right = values(foot(seed), frame=MeasurementFrame(up, forward))
    left = values(foot(seed, left=True), frame=MeasurementFrame(up * mirror, forward * mirror))
    assert left == pytest.approx(right, abs=EXACT)


def test_an_axis_that_the_reader_set_needs_no_landmarks():
    points = without(foot(), "M2b", "M2a")
    before = measure(WBCT, points)
    assert before.by_id("meary-angle").reason == "M2b not placed"
    found = measure(WBCT, points, frame=MeasurementFrame(forward=(0, -1, 0)))
    assert found.by_id("meary-angle").value == pytest.approx(values(foot())["meary-angle"], abs=EXACT)
    assert found.by_id("intermetatarsal-angle").reason == "M2a, M2b not placed"
    line = axis_lines(WBCT, points, frame=MeasurementFrame(forward=(0, -1, 0)))["foot-axis"]
    np.testing.assert_allclose((line.end - line.start) / np.linalg.norm(line.end - line.start), [0, -1, 0], atol=1e-12)
    assert line.name == "axis of the foot, as set"


def test_intervals_in_a_set_frame_are_those_of_small_moves_of_every_landmark():
    points, frame = foot(3), MeasurementFrame((0.1, 0.05, 1.0), (0.2, -1.0, 0.0))
    spread = np.linspace(0.05, 0.15, len(points))
    variance = dict.fromkeys((m.id for m in WBCT.measurements), 0.0)
    for i, axis in np.ndindex(points.shape):
        step = np.zeros_like(points)
        step[i, axis] = 1e-4
        up, down = (values(points + sign * step, frame=frame) for sign in (1, -1))
        for name in variance:
            variance[name] += ((up[name] - down[name]) / 2e-4 * spread[i]) ** 2
    for measurement in measure(WBCT, points, spread=spread, frame=frame).measurements:
        low, high = measurement.interval
        assert (high - low) / 2 == pytest.approx(1.959964 * variance[measurement.id] ** 0.5, rel=2e-3)


def test_the_result_and_what_the_ground_changes_say_which_frame_it_was():
    result = measure(WBCT, foot())
    assert result.frame == SCANNER
    framed = {m.id for m in result.measurements if m.details}
    assert framed == {m.id for m in result.measurements} - set(IN_SPACE)
    assert result.by_id("meary-angle").details == {"ground": "scanner's vertical", "foot axis": "from landmarks"}
    found = measure(WBCT, foot(), frame=MeasurementFrame((0, 0.1, 1), (0, -1, 0)))
    assert found.by_id("foot-ankle-offset").details == {"ground": "set by reader", "foot axis": "set by reader"}


def test_a_radiograph_has_no_frame():
    protocol = load_protocol("foot-ap")
    points = on_film(ordered("foot-ap", ap_foot(hva=12.0, talocalcaneal=20.0, coverage=5.0, mt1_talar=-5.0)))
    result = measure(protocol, points)
    assert result.frame is None
    assert not any(m.details for m in result.measurements)
    with pytest.raises(ValueError, match="give no frame"):
        measure(protocol, points, frame=SCANNER)
    assert frame_on("landmarks", protocol, points) == (None, ())
    assert "no landmarks of the ground" in ground_from_points(protocol, points)
    assert side_from_points(protocol, points) is None


def test_every_projected_angle_is_given_in_space_too():
    angles = [each for each in WBCT.measurements if each.rule == "angle"]
    assert {each.axes for each in angles if each.plane} == {each.axes for each in angles if each.plane is None}


# The ground of the landmarks


def level_foot(seed=0, *, left=False) -> np.ndarray:
    """A foot whose three ground landmarks lie as high as the protocol says they do on a level ground."""
    points = foot(seed, left=left)
    rows = [WBCT.index(name) for name in WBCT.frame.ground]
    # The longest side hangs on the heights themselves: a few rounds settle both.
    for _ in range(30):
        corner, second, third = points[rows]
        longest = np.linalg.norm([second - corner, third - corner, third - second], axis=1).max()
        points[rows, 2] = 8.0 + longest * np.array(WBCT.frame.heights)
    return points


@given(seeds, rotations, places, st.booleans())
@settings(deadline=None)
def test_the_landmarks_of_a_standing_foot_show_the_ground(seed, turn, place, left):
    up = ground_from_points(WBCT, level_foot(seed, left=left) @ turn.T + place)
    np.testing.assert_allclose(up, turn @ [0.0, 0.0, 1.0], atol=1e-9)


def test_a_ground_that_cannot_be_had_says_why():
    points = foot()
    assert ground_from_points(WBCT, without(points, "M5", "C1")) == "C1, M5 not placed"
    flat = points.copy()
    flat[WBCT.index("M5")] = (flat[WBCT.index("C1")] + flat[WBCT.index("M1b")]) / 2
    assert "lie on a line" in ground_from_points(WBCT, flat)
    alone = without(points, *set(WBCT.landmark_ids) - {"C1", "M1b", "M5"})
    assert "which side of their plane is up" in ground_from_points(WBCT, alone)


def test_where_the_landmarks_tell_no_ground_the_scanners_is_taken_and_said():
    frame, warnings = frame_on("landmarks", WBCT, without(foot(), "M5"))
    assert frame == SCANNER
    assert warnings == (
        "the landmarks do not tell the ground (M5 not placed): measured on the scanner's vertical",
    )  # fmt: skip
    assert frame_on("scanner", WBCT, foot()) == (SCANNER, ())
    assert frame_on("landmarks", WBCT, foot())[0].ground == "landmarks"
    with pytest.raises(ValueError, match="expected scanner or landmarks"):
        frame_on("reader", WBCT, foot())


def test_a_scan_of_a_foot_that_does_not_stand_is_warned_of():
    lying = level_foot() @ rotation(np.array([1.0, 0.0, 0.0]), 70.0).T
    (warning,) = measure(WBCT, lying).warnings
    assert warning.startswith("the ground (scanner's vertical) leans by 70 degrees against that of the landmarks")
    assert plausibility(WBCT, lying) == (warning,)
    frame, _ = frame_on("landmarks", WBCT, lying)
    assert measure(WBCT, lying, frame=frame).warnings == ()
    assert measure(WBCT, without(lying, "M5")).warnings == ()
    assert measure(WBCT, level_foot()).warnings == ()


def test_a_foot_axis_set_towards_the_heel_is_warned_of():
    (warning,) = measure(WBCT, level_foot(), frame=MeasurementFrame(forward=(0.2, 1.0, 0.0))).warnings
    assert warning.startswith(
        "the foot axis that was set runs against the line from the heel to the second metatarsal head"
    )
    assert measure(WBCT, level_foot(), frame=MeasurementFrame(forward=(0.2, -1.0, 0.0))).warnings == ()


# Its axes, to be drawn


@given(seeds, rotations, places, st.booleans())
@settings(deadline=None)
def test_axes_stand_at_the_heel_and_run_to_lateral_forward_and_up(seed, turn, place, left):
    points = foot(seed, left=left) @ turn.T + place
    origin, axes = frame_axes(WBCT, points, MeasurementFrame(turn @ [0.0, 0.0, 1.0]))
    np.testing.assert_allclose(origin, points[WBCT.index("C1")])
    lateral = 1.0 if left else -1.0
    np.testing.assert_allclose(axes @ turn, [[lateral, 0, 0], [0, -1, 0], [0, 0, 1]], atol=1e-9)


def test_axes_of_a_foot_that_shows_only_its_heel_stand_where_the_reader_sets_them():
    points = without(foot(), "M1a", "M1b", "M2a", "M2b", "M5", "P1", "P2")
    assert frame_axes(WBCT, points) == "M2b not placed"
    origin, axes = frame_axes(WBCT, without(points, "C1"), MeasurementFrame(forward=(0, -1, 0)))
    np.testing.assert_allclose(axes, [[-1, 0, 0], [0, -1, 0], [0, 0, 1]], atol=1e-12)
    placed = points[~np.isnan(without(points, "C1")[:, 0])]
    np.testing.assert_allclose(origin, [*placed.mean(axis=0)[:2], placed[:, 2].min()])


def test_axes_that_cannot_be_had_say_why():
    nothing = np.full((22, 3), np.nan)
    assert frame_axes(WBCT, nothing) == "C1, M2b not placed"
    found = frame_axes(WBCT, nothing, MeasurementFrame(forward=(0, -1, 0)))
    assert found.startswith("no landmarks tell which side is lateral; M1b, M2b not placed")
    upright = foot()
    upright[WBCT.index("M2b")] = upright[WBCT.index("C1")] + [0.0, 0.0, 80.0]
    assert "stands upright" in frame_axes(WBCT, upright)
    assert frame_axes(load_protocol("foot-ap"), nothing[:16]) == "protocol foot-ap has no frame"


# Which foot it is


@given(seeds, st.floats(-180.0, 180.0), st.booleans())
@settings(deadline=None)
def test_landmarks_tell_which_foot_it_is(seed, heading, left):
    points = foot(seed, left=left) @ rotation(np.array([0.0, 0.0, 1.0]), heading).T
    side = "left" if left else "right"
    assert side_from_points(WBCT, points) == side
    heel = without(points, "M1a", "M1b", "M2a", "M2b", "M5", "P1", "P2", "N1", "N2")
    assert side_from_points(WBCT, heel) == side
    assert side_from_points(WBCT, points * (1, -1, -1), MeasurementFrame((0, 0, -1))) == side
    assert side_from_points(WBCT, points * (1, 1, -1), MeasurementFrame((0, 0, -1))) != side


def test_landmarks_that_do_not_tell_it_give_no_side():
    assert side_from_points(WBCT, without(foot(), "M2b", "TA5", "N2")) is None
    along = foot()
    along[WBCT.index("M2b")] = along[WBCT.index("M1b")] + along[WBCT.index("M1b")] - along[WBCT.index("C1")]
    assert side_from_points(WBCT, along) is None
