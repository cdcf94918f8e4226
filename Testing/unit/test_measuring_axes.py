"""Axes, planes, signs, grades and findings on small made-up protocols."""

import json
import math

import numpy as np
import pytest
from support.columns import APlane

from orthoangles.images.grid import ImageGeometry
from orthoangles.measuring import axis_lines, measure
from orthoangles.protocols import load_protocol

pytestmark = pytest.mark.unit


def values(result) -> dict:
    return {m.id: m.value for m in result.measurements}


def an_axis(name, kind="line", **fields):
    return {"id": name, "name": name, "kind": kind, "source": "book", **fields}


def an_angle(name, first, second, plane="image", **fields):
    axes = {"rule": "angle", "axes": [first, second], "plane": plane}
    return {"id": name, "name": name, "unit": "deg", "definition": name, "source": "book", **axes, **fields}


@pytest.fixture
def make(tmp_path):
    """A protocol from landmark ids and further tables."""

    def protocol(landmarks, dimension=2, **tables):
        data = {
            "id": "made",
            "name": "made",
            "version": "1.0.0",
            "description": "made",
            "region": "foot",
            "view": "AP",
            "dimension": dimension,
            "sources": {"book": {"citation": "A book."}},
            "groups": [{"id": "bone", "name": "a bone"}],
            "landmarks": [
                {"id": name, "name": name, "description": name, "group": "bone", "source": "book"} for name in landmarks
            ],
            **tables,
        }
        path = tmp_path / "made.json"
        path.write_text(json.dumps(data), encoding="utf-8")
        return load_protocol(path)

    return protocol


def test_axes_from_landmarks_from_midpoints_and_from_derived_points(make):
    protocol = make(
        ["a", "b", "c", "d"],
        points=[
            {"id": "ab", "name": "ab", "mean_of": ["a", "b"], "source": "book"},
            {"id": "abc", "name": "abc", "mean_of": ["ab", "c"], "source": "book"},
        ],
        axes=[
            an_axis("edge", start=["a"], end=["b"]),
            an_axis("middle", start=["a", "b"], end=["c", "d"]),
            an_axis("derived", start=["ab"], end=["abc"]),
        ],
        measurements=[an_angle("m1", "edge", "middle"), an_angle("m2", "edge", "derived")],
    )
    points = np.array([[0.0, 0.0, 0.0], [4.0, 0.0, 0.0], [4.0, 6.0, 0.0], [0.0, 6.0, 0.0]])
    lines = axis_lines(protocol, points)
    assert (*lines["middle"].start, *lines["middle"].end) == pytest.approx((2, 0, 0, 2, 6, 0))
    assert (*lines["derived"].start, *lines["derived"].end) == pytest.approx((2, 0, 0, 3, 3, 0))
    result = measure(protocol, points)
    assert values(result) == pytest.approx({"m1": 90.0, "m2": math.degrees(math.atan2(3, 1))})


def test_an_axis_fitted_over_handles_shrugs_off_a_bad_one(make):
    protocol = make(
        [*"abcdef"],
        axes=[an_axis("shaft", "fit", points=[*"abcde"], scale=1.0), an_axis("base", start=["f"], end=["a"])],
        measurements=[an_angle("m", "shaft", "base")],
    )
    points = np.array([[0.0, 0, 0], [0, 10, 0], [0, 20, 0], [0, 30, 0], [0, 40, 0], [-10, 0, 0]])
    assert measure(protocol, points).by_id("m").value == pytest.approx(90.0)
    points[2, 0] = 25.0
    dragged = measure(protocol, points).by_id("m")
    assert dragged.value == pytest.approx(90.0, abs=1e-3)
    shaft = dragged.axes[0]
    assert (*shaft.start, *shaft.end) == pytest.approx((0, 0, 0, 0, 40, 0), abs=1e-3)


def test_without_spacing_a_fit_is_the_same_at_any_pixel_size(make):
    handles = ["h1", "h2", "h3", "h4", "h5", "x"]
    protocol = make(
        handles,
        axes=[an_axis("shaft", "fit", points=handles[:5], scale=1.0), an_axis("h1-x", start=["h1"], end=["x"])],
        measurements=[an_angle("a", "shaft", "h1-x", signed=True, positive="clockwise")],
    )
    bowed = np.array([[0, 0, 0], [10, 1.5, 0], [20, 2, 0], [30, 1.5, 0], [40, -6, 0], [0, 50, 0]])

    def angles(**known):
        image = ImageGeometry((400, 400, 1), **known)
        return [measure(protocol, bowed * scale, image=image).by_id("a").value for scale in (0.1, 4)]

    assert np.ptp(angles(has_spacing=False)) < 1e-6
    assert np.ptp(angles()) > 1


def test_foreground_of_the_network_joins_the_handles(make):
    protocol = make(
        [*"abcd"],
        axes=[an_axis("shaft", "fit", points=["a", "b"], scale=1.0), an_axis("base", start=["c"], end=["d"])],
        measurements=[an_angle("m", "base", "shaft", signed=True)],
    )
    points = np.array([[0.0, 0, 0], [8.0, 20, 0], [0, 0, 0], [10, 0, 0]])
    foreground = {"shaft": np.stack([np.zeros(50), np.linspace(0, 40, 50), np.zeros(50)], 1)}
    without, joined = (
        measure(protocol, points, spread=np.ones(4), foreground=f).by_id("m") for f in (None, foreground)
    )
    assert without.value == pytest.approx(math.degrees(math.atan2(20, 8)))
    assert joined.value == pytest.approx(90.0, abs=1e-3)
    assert without.interval is not None
    assert joined.interval is None


def test_fixed_directions_and_bisectors(make):
    protocol = make(
        [*"abcd"],
        axes=[
            an_axis("first", start=["a"], end=["b"]),
            an_axis("second", start=["c"], end=["d"]),
            an_axis("half", "bisector", axes=["first", "second"]),
            an_axis("ground", "direction", vector=[1, 0, 0]),
        ],
        measurements=[an_angle("m", "ground", "half", signed=True), an_angle("n", "ground", "first", folded=True)],
    )
    points = np.array([[0.0, 0, 0], [-10, 10 * math.sqrt(3), 0], [20, 0, 0], [20, 10, 0]])
    result = measure(protocol, points, spread=np.ones(4))
    assert values(result) == pytest.approx({"m": 105.0, "n": 60.0})
    # The bisector turns by half of what its axes turn: variances 2/400 and 2/100 rad^2, a quarter of each.
    low, high = result.by_id("m").interval
    assert (high - low) / 2 == pytest.approx(1.959964 * math.degrees(math.sqrt(2 / 400 + 2 / 100) / 2))
    shifted = APlane(spacing=(0.5, 0.5), origin=(3.0, 4.0, 0.0))
    assert measure(protocol, points, image=shifted).by_id("m").value == pytest.approx(105.0)


def test_an_end_shared_by_two_axes_counts_once(make):
    protocol = make(
        [*"abc"],
        axes=[an_axis("first", start=["b"], end=["a"]), an_axis("second", start=["b"], end=["c"])],
        measurements=[an_angle("m", "first", "second")],
    )
    points = np.array([[30.0, 0, 0], [0, 0, 0], [math.cos(1.0) * 20, math.sin(1.0) * 20, 0]])
    spread = np.array([0.3, 0.4, 0.2])
    low, high = measure(protocol, points, spread=spread).by_id("m").interval
    rng = np.random.default_rng(5)
    noise = rng.normal(size=(3000, 3, 3)) * spread[:, None] * [1.0, 1.0, 0.0]
    simulated = np.std([measure(protocol, points + d).by_id("m").value for d in noise])
    assert (high - low) / (2 * 1.96) == pytest.approx(simulated, rel=0.05)


def test_signs_and_mirrored_sides(make):
    fields = {"signed": True, "mirrored": True}
    protocol = make(
        [*"abcd"],
        axes=[an_axis("shaft", start=["a"], end=["b"]), an_axis("toe", start=["c"], end=["d"])],
        measurements=[
            an_angle("clockwise", "shaft", "toe", **fields),
            an_angle("counter", "shaft", "toe", positive="counterclockwise", **fields),
            an_angle("plain", "shaft", "toe"),
        ],
    )
    points = np.array([[0.0, 0, 0], [10, 0, 0], [0, 0, 0], [10, 10, 0]])
    right, left = (values(measure(protocol, points, laterality=side)) for side in ("R", "left"))
    assert right == pytest.approx({"clockwise": 45.0, "counter": -45.0, "plain": 45.0})
    assert left == pytest.approx({"clockwise": -45.0, "counter": 45.0, "plain": 45.0})
    for side in (None, "B"):
        unknown = measure(protocol, points, laterality=side)
        assert unknown.by_id("clockwise").value is None
        assert "side" in unknown.by_id("clockwise").reason
        assert unknown.by_id("plain").value == pytest.approx(45.0)


def test_angles_in_space_and_in_planes(make):
    planes = [
        {"id": "axial", "name": "axial", "vector": [0, 0, 1], "source": "book"},
        {"id": "coronal", "name": "coronal", "axis": "forward", "vector": [0, 0, 1], "source": "book"},
        {"id": "sagittal", "name": "sagittal", "axis": "forward", "vector": [0, 0, 1], "cross": True, "source": "book"},
    ]
    protocol = make(
        ["o", "f", "p", "q"],
        dimension=3,
        planes=planes,
        axes=[
            an_axis("forward", start=["o"], end=["f"]),
            an_axis("u", start=["o"], end=["p"]),
            an_axis("v", start=["o"], end=["q"]),
        ],
        measurements=[
            an_angle("space", "u", "v", plane=None),
            an_angle("axial", "u", "v", plane="axial", signed=True),
            an_angle("coronal", "u", "v", plane="coronal", signed=True),
            an_angle("sagittal", "u", "v", plane="sagittal", signed=True),
        ],
    )
    # Forward is y, with a rise that the coronal plane's normal must lose.
    points = np.array([[0.0, 0, 0], [0, 10, 4], [1, 1, 1], [1, -1, 1]])
    expected = {
        "space": math.degrees(math.acos(1 / 3)),
        "axial": -90.0,  # (1, 1) to (1, -1) about z
        "coronal": 0.0,  # both are (x, z) = (1, 1)
        "sagittal": -90.0,  # normal z x y = -x: (y, z) from (1, 1) to (-1, 1)
    }
    assert values(measure(protocol, points)) == pytest.approx(expected, abs=1e-9)
    points[3] = [0, -3, 0]
    perpendicular = measure(protocol, points).by_id("coronal")
    assert perpendicular.value is None
    assert perpendicular.reason == "v stands perpendicular to the plane"
    points[1] = np.nan
    assert measure(protocol, points).by_id("sagittal").reason == "f not placed"


def test_intervals_in_a_plane_agree_with_simulation(make):
    protocol = make(
        [*"abcd"],
        dimension=3,
        planes=[{"id": "axial", "name": "axial", "vector": [0, 0, 1], "source": "book"}],
        axes=[an_axis("u", start=["a"], end=["b"]), an_axis("v", start=["c"], end=["d"])],
        measurements=[an_angle("axial", "u", "v", plane="axial", signed=True), an_angle("space", "u", "v", plane=None)],
    )
    points = np.array([[0.0, 0, 0], [30, 0, 30], [0, 5, 0], [20, 25, -10]])
    spread = np.array([0.3, 0.4, 0.2, 0.5])
    result = measure(protocol, points, spread=spread)
    noise = np.random.default_rng(5).normal(size=(3000, 4, 3)) * spread[:, None]
    simulated = [values(measure(protocol, points + d)) for d in noise]
    for name in ("axial", "space"):
        low, high = result.by_id(name).interval
        assert (high - low) / (2 * 1.96) == pytest.approx(np.std([v[name] for v in simulated]), rel=0.05)


def test_axes_that_cannot_be_had_give_reasons(make):
    protocol = make(
        [*"abcd"],
        axes=[
            an_axis("line", start=["a"], end=["b"]),
            an_axis("shaft", "fit", points=["c", "d"], scale=1.0),
            an_axis("depth", "direction", vector=[0, 0, 1]),
            an_axis("half", "bisector", axes=["line", "shaft"]),
        ],
        measurements=[
            an_angle("m1", "line", "shaft"),
            an_angle("m2", "line", "depth"),
            an_angle("m3", "line", "half"),
        ],
    )
    points = np.array([[0.0, 0, 0], [10, 0, 0], [5, 5, 0], [5, 5, 0]])
    result = measure(protocol, points)
    assert result.by_id("m1").reason == "the points of shaft coincide"
    assert result.by_id("m2").reason == "depth has no direction in the image plane"
    assert result.by_id("m3").reason == "the points of shaft coincide"
    points[3] = [-5, 5, 0]
    assert measure(protocol, points).by_id("m3").reason == "the axes of half point opposite ways"
    points[1] = points[0]
    assert measure(protocol, points).by_id("m1").reason == "the ends of line coincide"
    assert set(axis_lines(protocol, points)) == {"shaft"}
    points[0] = np.nan
    assert measure(protocol, points).by_id("m1").reason == "a not placed"


def the_planus_rules(make):
    """Rules for adults and children that differ, with one that needs two values."""
    axes = [
        an_axis("u", start=["a"], end=["b"]),
        an_axis("v", start=["a"], end=["c"]),
        an_axis("w", start=["a"], end=["d"]),
    ]
    adult, child = {"from": 18}, {"below": 18}

    def condition(measurement, limit):
        return {"measurement": measurement, "is": ">", "value": limit}

    findings = [
        {
            "id": "flat",
            "name": "flat",
            "criteria": [
                {"ages": adult, "any": [condition("uv", 4), condition("uw", 50)], "source": "book", "inferred": True},
                {"ages": child, "any": [condition("uv", 10)], "source": "book"},
            ],
        },
        {
            "id": "both",
            "name": "both",
            "criteria": [{"all": [condition("uv", 4), condition("uw", 50)], "source": "book"}],
        },
        {"id": "young", "name": "young", "criteria": [{"ages": child, "any": [condition("uv", 1)], "source": "book"}]},
    ]
    scale = {
        "ages": adult,
        "bands": [{"name": "mild", ">=": 4, "<": 15}, {"name": "severe", ">=": 30}],
        "source": "book",
    }
    measurements = [an_angle("uv", "u", "v", grades=[scale]), an_angle("uw", "u", "w")]
    return make([*"abcd"], axes=axes, measurements=measurements, findings=findings)


def at(uv: float, uw: float | None) -> np.ndarray:
    def end(degrees):
        if degrees is None:
            return [np.nan] * 3
        return [10 * math.cos(math.radians(degrees)), 10 * math.sin(math.radians(degrees)), 0]

    return np.array([[0.0, 0, 0], [10.0, 0, 0], end(uv), end(uw)])


@pytest.mark.parametrize(
    ("uv", "uw", "age", "flat"),
    [
        (7.0, 0.0, 30, True),
        (7.0, 0.0, 12, False),
        (7.0, 0.0, None, None),  # adults and children differ
        (12.0, 0.0, None, True),  # they agree
        (2.0, 0.0, None, False),
        (2.0, 60.0, 18, True),
        (2.0, 60.0, 17.9, False),
        (7.0, None, 30, True),  # one condition decides
        (2.0, None, 30, None),  # the other is not known
        (2.0, None, 12, False),
    ],
)
def test_findings_by_age_with_values_that_may_be_missing(make, uv, uw, age, flat):
    assert measure(the_planus_rules(make), at(uv, uw), age=age).by_id("flat").present is flat


def test_conditions_joined_by_all_and_rules_that_leave_ages_out(make):
    protocol = the_planus_rules(make)
    assert measure(protocol, at(7.0, 60.0)).by_id("both").present is True
    assert measure(protocol, at(7.0, 0.0)).by_id("both").present is False
    assert measure(protocol, at(2.0, None)).by_id("both").present is False
    assert measure(protocol, at(7.0, None)).by_id("both").present is None
    young = measure(protocol, at(7.0, 0.0), age=40).by_id("young")
    assert (young.present, young.rule) == (None, "no rule for this age")
    rule = measure(protocol, at(7.0, 0.0), age=40).by_id("flat").rule
    assert rule == "18 years and older: uv > 4 or uw > 50"


def test_grades_need_an_age_where_they_depend_on_it(make):
    protocol = the_planus_rules(make)
    grades = [
        measure(protocol, at(v, 0.0), age=a).by_id("uv").grade
        for v, a in ((7, 30), (20, 30), (31, 30), (7, 9), (7, None))
    ]
    assert grades == ["mild", None, "severe", None, None]
