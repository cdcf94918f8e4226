"""Protocol and points to measurements, on spines."""

import math
import timeit

import numpy as np
import pytest
from support.columns import APlane, column, points_of, tilts_through
from support.data import shared_data

from orthoangles.measuring import axis_lines, measure, plausibility
from orthoangles.protocols import load_protocol

pytestmark = pytest.mark.unit

SPINE = load_protocol("spine-ap-cobb")
DOUBLE = tilts_through((0, -10.0), (4, 12.0), (11, -30.0), (16, 8.0))
CLINICAL = ("cobb-clinical-pt", "cobb-clinical-mt", "cobb-clinical-tl", "cobb-clinical-major")


@pytest.fixture
def a_double_curve():
    """Points of T1-T5 22 degrees to the image's right, T5-T12 42 to its left, T12-L5 38 to its right."""
    return points_of(column(DOUBLE))


def values(result) -> dict:
    return {m.id: m.value for m in result.measurements}


# ----------------------------------------------------------------------------------------------- Cobb measurements


def test_all_ten_cobb_angles_by_hand(a_double_curve):
    result = measure(SPINE, a_double_curve, image=APlane(rows=2000))
    expected = dict.fromkeys(
        ("cobb-aasce-max", "cobb-aasce-python-max", "cobb-clinical-mt", "cobb-clinical-major"), 42.0
    )
    expected |= dict.fromkeys(("cobb-aasce-upper", "cobb-aasce-python-upper", "cobb-clinical-pt"), 22.0)
    expected |= dict.fromkeys(("cobb-aasce-lower", "cobb-aasce-python-lower", "cobb-clinical-tl"), 38.0)
    assert values(result) == pytest.approx(expected)
    assert [m.id for m in result.measurements] == [m.id for m in SPINE.measurements]
    assert {m.unit for m in result.measurements} == {"deg"}
    assert {m.plane for m in result.measurements} == {"image"}
    assert all(m.source in SPINE.sources and m.definition for m in result.measurements)


def test_details_name_end_vertebrae_apex_side_and_region(a_double_curve):
    result = measure(SPINE, a_double_curve)
    thoracic = result.by_id("cobb-clinical-mt").details
    assert (thoracic["upper_end_vertebra"], thoracic["lower_end_vertebra"]) == ("T5", "T12")
    assert thoracic["region"] == "MT"
    # Convex to the left of the image: by the radiological convention the patient's right.
    assert (thoracic["convex_image_side"], thoracic["side"]) == ("left", "right")
    assert "the patient's" in thoracic["side_convention"]
    major = result.by_id("cobb-clinical-major").details
    assert major["is_curve"] is True
    assert [curve["side"] for curve in major["curves"]] == ["left", "right", "left"]
    aasce = result.by_id("cobb-aasce-max").details
    assert (aasce["upper_end_vertebra"], aasce["lower_end_vertebra"], aasce["s_shaped"]) == ("T5", "T12", True)


def test_the_lines_are_those_the_angle_was_taken_between(a_double_curve):
    result = measure(SPINE, a_double_curve)
    upper, lower = result.by_id("cobb-clinical-mt").axes
    assert (upper.id, lower.id) == ("T5-superior", "T12-inferior")
    assert upper.name == "superior endplate of T5"
    assert upper.start == pytest.approx(a_double_curve[SPINE.index("T5-TL")])
    assert lower.end == pytest.approx(a_double_curve[SPINE.index("T12-BR")])
    first, _second = result.by_id("cobb-aasce-max").axes
    assert first.id == "T5-midline"
    middle = (a_double_curve[SPINE.index("T5-TL")] + a_double_curve[SPINE.index("T5-BL")]) / 2
    assert first.start == pytest.approx(middle)


def test_lines_of_the_result_are_the_axes_of_the_protocol(a_double_curve):
    axes = axis_lines(SPINE, a_double_curve)
    assert len(axes) == len(SPINE.axes)
    for measurement in measure(SPINE, a_double_curve, image=APlane()).measurements:
        for line in measurement.axes:
            assert (line.name, *line.start, *line.end) == pytest.approx(
                (axes[line.id].name, *axes[line.id].start, *axes[line.id].end)
            )


def test_a_straight_spine_has_a_major_angle_and_no_curve():
    result = measure(SPINE, points_of(column(np.linspace(-3.0, 3.0, 17))))
    major = result.by_id("cobb-clinical-major")
    assert major.value == pytest.approx(6.0)
    assert major.grade == "below 10 degrees"
    assert major.details["is_curve"] is False
    assert major.details["curves"] == ()
    thoracic = result.by_id("cobb-clinical-mt")
    assert thoracic.value is None
    assert thoracic.axes == ()
    assert thoracic.reason == "no curve of 10 degrees or more has its apex there"
    assert result.by_id("scoliosis").present is False


@pytest.mark.parametrize(
    ("degrees", "grade", "present"),
    [
        (9.9, "below 10 degrees", False),
        (10.1, "low", True),
        (20.5, "moderate", True),
        (36.0, "moderate to severe", True),
        (45.0, "severe", True),
        (52.0, "severe to very severe", True),
        (110.0, "very severe", True),
    ],
)
def test_grade_and_finding_follow_the_major_curve(degrees, grade, present):
    result = measure(SPINE, points_of(column(np.linspace(-degrees / 2, degrees / 2, 17))))
    assert result.by_id("cobb-clinical-major").value == pytest.approx(degrees)
    assert result.by_id("cobb-clinical-major").grade == grade
    assert result.by_id("scoliosis").present is present
    assert result.by_id("scoliosis").rule == "cobb-clinical-major >= 10"


def test_what_needs_the_image_height_says_so_without_an_image(a_double_curve):
    result = measure(SPINE, a_double_curve)
    for rule in ("cobb-aasce", "cobb-aasce-python"):
        assert result.by_id(f"{rule}-max").value == pytest.approx(42.0)
        assert result.by_id(f"{rule}-lower").value is None
        assert "height" in result.by_id(f"{rule}-lower").reason


def test_the_image_height_decides_the_lower_angle(a_double_curve):
    low = measure(SPINE, a_double_curve, image=APlane(rows=100))
    assert low.by_id("cobb-aasce-lower").value == pytest.approx(0.0)
    assert low.by_id("cobb-aasce-lower").details["branch"] == "S lower half"


def test_a_missing_landmark_is_named_and_the_clinical_rule_goes_on(a_double_curve):
    points = a_double_curve.copy()
    points[SPINE.index("T8-TR")] = np.nan
    result = measure(SPINE, points, image=APlane())
    aasce = result.by_id("cobb-aasce-max")
    assert aasce.value is None
    assert aasce.reason == "T8-TR not placed; the AASCE rule needs every vertebra"
    major = result.by_id("cobb-clinical-major")
    assert major.value == pytest.approx(42.0)
    assert major.details["vertebrae_left_out"] == ("T8",)
    assert any("T8-TR not placed" in warning for warning in result.warnings)


def test_with_no_landmark_every_value_has_a_reason():
    result = measure(SPINE, np.full((68, 3), np.nan), image=APlane())
    assert all(m.value is None and m.reason for m in result.measurements)
    assert "T1-TL, T1-TR" in result.by_id("cobb-clinical-major").reason
    assert "and 62 more" in result.by_id("cobb-clinical-major").reason
    assert result.by_id("scoliosis").present is None


def test_corners_dragged_onto_each_other_give_a_reason(a_double_curve):
    points = a_double_curve.copy()
    points[SPINE.index("L2-TL")] = points[SPINE.index("L2-TR")]
    result = measure(SPINE, points, image=APlane())
    assert "corners of L2 coincide" in result.by_id("cobb-aasce-max").reason
    assert result.by_id("cobb-clinical-mt").value == pytest.approx(42.0)


def test_anisotropic_pixels_are_measured_in_millimetres(a_double_curve):
    plane = APlane(columns=1200, rows=400, spacing=(0.5, 2.0), origin=(-50.0, 30.0, 7.0))
    moved = a_double_curve + np.array([-50.0, 30.0, 7.0])
    with_image = measure(SPINE, moved, image=plane)
    assert values(with_image) == pytest.approx(values(measure(SPINE, a_double_curve, image=APlane(rows=800))))


def test_a_turned_image_is_measured_in_its_own_plane(a_double_curve):
    from orthoangles.images import ImageGeometry

    # A coronal slice: columns along LPS x (left), rows along -z (down).
    direction = np.array([[1.0, 0.0, 0.0], [0.0, 0.0, 1.0], [0.0, -1.0, 0.0]])
    image = ImageGeometry((600, 400, 1), (1.0, 2.0, 1.0), (10.0, 20.0, 30.0), direction)
    points = image.physical_points(a_double_curve / [1.0, 2.0, 1.0])
    result = measure(SPINE, points, image=image)
    assert values(result) == pytest.approx(values(measure(SPINE, a_double_curve, image=APlane(rows=800))))
    assert result.by_id("cobb-clinical-mt").details["side"] == "right"
    assert result.by_id("cobb-clinical-mt").axes[0].start == pytest.approx(points[SPINE.index("T5-TL")])


def test_a_mirrored_spine_has_the_same_angles_on_the_other_side(a_double_curve):
    corners = a_double_curve.reshape(17, 4, 3)[:, [1, 0, 3, 2]] * [-1.0, 1.0, 1.0]
    mirrored = measure(SPINE, corners.reshape(68, 3), image=APlane(rows=2000))
    assert values(mirrored) == pytest.approx(values(measure(SPINE, a_double_curve, image=APlane(rows=2000))))
    assert mirrored.by_id("cobb-clinical-mt").details["side"] == "left"


# ------------------------------------------------------------------------------------------------------- intervals


def spread_by_simulation(points, spread, identifier, image, n=4000) -> float:
    rng = np.random.default_rng(3)
    noise = rng.normal(size=(n, *points.shape)) * spread[:, None] * [1.0, 1.0, 0.0]
    return float(np.std([measure(SPINE, points + d, image=image).by_id(identifier).value for d in noise]))


@pytest.mark.parametrize("identifier", ["cobb-clinical-mt", "cobb-aasce-max", "cobb-aasce-lower"])
def test_intervals_agree_with_simulation_where_end_vertebrae_are_clear(identifier):
    # Turns of 9 degrees a level: noise of half a millimetre leaves the end vertebrae what they are.
    tilts = tilts_through((0, -9.0), (3, 18.0), (9, -36.0), (13, 0.0), (16, -12.0))
    points, image = points_of(column(tilts)), APlane(rows=2000)
    spread = np.linspace(0.2, 0.5, 68)
    low, high = measure(SPINE, points, spread=spread, image=image).by_id(identifier).interval
    value = measure(SPINE, points, image=image).by_id(identifier).value
    assert (low + high) / 2 == pytest.approx(value)
    simulated = spread_by_simulation(points, spread, identifier, image, n=1500)
    assert (high - low) / (2 * 1.96) == pytest.approx(simulated, rel=0.08)


def test_interval_by_hand(a_double_curve):
    # Endplates are 40 mm long: 1 mm at each end turns one by sqrt(2) / 40 rad, two independent ones by sqrt(2) more.
    result = measure(SPINE, a_double_curve, spread=np.ones(68), image=APlane())
    low, high = result.by_id("cobb-clinical-mt").interval
    assert (high - low) / 2 == pytest.approx(1.959964 * math.degrees(2 / 40))
    # A midline's ends are means of two corners: half the variance.
    low, high = result.by_id("cobb-aasce-max").interval
    assert (high - low) / 2 == pytest.approx(1.959964 * math.degrees(math.sqrt(2) / 40))


def test_intervals_need_the_spread_of_their_own_points_only(a_double_curve):
    spread = np.ones(68)
    spread[SPINE.index("T12-BL")] = np.nan
    result = measure(SPINE, a_double_curve, spread=spread, image=APlane())
    assert result.by_id("cobb-clinical-mt").interval is None
    assert result.by_id("cobb-clinical-pt").interval is not None
    assert measure(SPINE, a_double_curve).by_id("cobb-clinical-pt").interval is None


def test_an_interval_does_not_reach_below_zero():
    result = measure(SPINE, points_of(column(np.linspace(-1.0, 1.0, 17))), spread=np.full(68, 2.0))
    low, high = result.by_id("cobb-clinical-major").interval
    assert low == 0.0
    assert high > 2.0


# ---------------------------------------------------------------------------------------------- input and purity


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"points": np.zeros((67, 3))}, r"shape \(67, 3\), expected \(68, 3\)"),
        ({"points": np.zeros((68, 2))}, "shape"),
        ({"points": np.where(np.arange(68)[:, None] == 3, [0.0, np.nan, 0.0], 1.0)}, "NaN in part"),
        ({"points": np.full((68, 3), np.inf)}, "infinite"),
        ({"spread": np.ones(67)}, "spread has shape"),
        ({"spread": np.full(68, -1.0)}, "negative"),
        ({"age": -1}, "age"),
        ({"age": float("nan")}, "age"),
        ({"laterality": "up"}, "laterality"),
    ],
)
def test_wrong_input_is_refused(a_double_curve, change, message):
    arguments = {"points": a_double_curve, **change}
    with pytest.raises(ValueError, match=message):
        measure(SPINE, arguments.pop("points"), **arguments)


def test_measuring_is_pure(a_double_curve):
    spread = np.ones(68)
    before = a_double_curve.copy(), spread.copy()
    first = measure(SPINE, a_double_curve, spread=spread, image=APlane())
    assert (a_double_curve == before[0]).all()
    assert (spread == before[1]).all()
    start = first.by_id("cobb-clinical-mt").axes[0].start.copy()
    a_double_curve += 100.0
    assert first.by_id("cobb-clinical-mt").axes[0].start == pytest.approx(start)
    assert first.warnings == ()


def test_lists_are_taken_for_arrays(a_double_curve):
    assert values(measure(SPINE, a_double_curve.tolist())) == values(measure(SPINE, a_double_curve))


def test_unknown_ids_are_named(a_double_curve):
    with pytest.raises(KeyError, match="no measurement or finding 'cobb'"):
        measure(SPINE, a_double_curve).by_id("cobb")


def test_measuring_follows_the_mouse(a_double_curve):
    """The limit is for a quiet machine (see docs/COBB.md); this test only catches a rule gone slow."""
    image, spread = APlane(), np.ones(68)
    seconds = min(
        timeit.repeat(lambda: measure(SPINE, a_double_curve, spread=spread, image=image), number=50, repeat=10)
    )
    assert seconds / 50 < 2e-3


# ------------------------------------------------------------------------------------------------------ plausibility


def test_a_sound_spine_has_no_warnings(a_double_curve):
    assert plausibility(SPINE, a_double_curve) == ()
    assert plausibility(SPINE, points_of(column(np.linspace(-60.0, 60.0, 17)))) == ()


def test_turning_the_whole_spine_warns_of_nothing(a_double_curve):
    turned = a_double_curve[:, [1, 0, 2]] * [-1.0, 1.0, 1.0]
    assert plausibility(SPINE, turned) == ()


def spoilt(points, change) -> tuple[str, ...]:
    corners = points.reshape(17, 4, 3).copy()
    change(corners)
    return plausibility(SPINE, corners.reshape(68, 3))


def test_crossed_and_exchanged_corners(a_double_curve):
    def cross(corners):
        corners[6, [2, 3]] = corners[6, [3, 2]] + np.array([[0.0, 1.0, 0.0], [0.0, 0.0, 0.0]])

    def exchange(corners):
        corners[6] = corners[6, [1, 0, 3, 2]]

    def fold_a_margin(corners):
        corners[6, 2] = corners[6, 0] * 1.2 - corners[6, 2] * 0.2

    message = "T7: corners are crossed or left and right are exchanged"
    for change in (cross, exchange):
        assert f"{message}; it is left out of clinical Cobb angles" in spoilt(a_double_curve, change)
    assert spoilt(a_double_curve, fold_a_margin) == (message,)


def test_a_crossed_vertebra_does_not_turn_a_curve_upside_down(a_double_curve):
    corners = a_double_curve.reshape(17, 4, 3).copy()
    corners[7] = corners[7, [1, 0, 3, 2]]
    major = measure(SPINE, corners.reshape(68, 3)).by_id("cobb-clinical-major")
    assert major.value == pytest.approx(42.0)
    assert major.details["vertebrae_left_out"] == ("T8",)
    bow_ties = a_double_curve.reshape(17, 4, 3)[:, [0, 1, 3, 2]].reshape(68, 3)
    assert "crossed" in measure(SPINE, bow_ties + np.linspace(0, 1, 68)[:, None]).by_id("cobb-clinical-major").reason


def test_vertebrae_out_of_order(a_double_curve):
    def exchange(corners):
        corners[[9, 10]] = corners[[10, 9]]

    assert "T11 does not lie below T10" in spoilt(a_double_curve, exchange)


def test_the_lowest_vertebra_listed_at_the_top(a_double_curve):
    def lift(corners):
        corners[16] = corners[0] - [0.0, 32.0, 0.0]

    assert spoilt(a_double_curve, lift) == ("L5 does not lie below L4", "L4 and L5 lie too far apart")


def test_one_vertebra_labelled_twice(a_double_curve):
    def repeat(corners):
        corners[16] = corners[15] + [0.0, 1.0, 0.0]

    assert spoilt(a_double_curve, repeat) == ("L4 and L5 overlap",)


def test_a_vertebra_passed_over():
    corners = np.delete(column(np.zeros(18)), 8, axis=0)
    assert plausibility(SPINE, points_of(corners)) == ("T8 and T9 lie too far apart",)


def test_a_collapsed_vertebra(a_double_curve):
    def collapse(corners):
        corners[8, 2:] = corners[8, :2] + [0.0, 0.5, 0.0]

    assert "T9 is much flatter than its neighbours" in spoilt(a_double_curve, collapse)


def test_missing_vertebrae_are_no_fault_of_their_neighbours(a_double_curve):
    points = a_double_curve.copy()
    points[SPINE.index("T9-TL")] = np.nan
    assert plausibility(SPINE, points) == ("T9-TL not placed: clinical Cobb angles are taken over the other vertebrae",)


def test_real_labels_warn_only_where_they_are_wrong():
    from benchmarks.cobb_agreement import label_faults, read_cases

    faulty = {case.row for case in read_cases(shared_data("aasce")) if label_faults(case)}
    listed_at_the_top = {10, 28, 77, 103, 105, 107, 110, 122, 124, 164, 165, 166, 167, 170, 178, 206, 327, 353}
    assert listed_at_the_top <= faulty
    # The other twelve were looked at: a vertebra labelled twice, crossed or collapsed.
    assert len(faulty) <= 30
