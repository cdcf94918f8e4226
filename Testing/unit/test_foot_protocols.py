"""The foot protocols on hand-built feet: values, signs from landmarks alone, grades, findings, reasons, intervals."""

import csv

import numpy as np
import pytest
from support.columns import APlane
from support.data import shared_data
from support.feet import (
    RIGHT_LPS,
    ap_foot,
    hallux_foot,
    lateral_foot,
    on_film,
    ordered,
    standing_angles,
    standing_foot,
)

from orthoangles.measuring import axis_lines, measure
from orthoangles.protocols import load_protocol

pytestmark = pytest.mark.unit

FEET = ("foot-ap-hallux", "foot-ap", "foot-lateral", "foot-wbct")
EXACT = 1e-6

# A right foot as displayed; a left one, or a right one seen from the sole; lying on its side; upside down.
FILMS = [{}, {"mirrored": True}, {"turned": 37.0}, {"mirrored": True, "turned": -140.0}, {"turned": 180.0}]
STATED = (None, "R", "L", "B")


def values(protocol_id, points, **facts) -> dict:
    return {m.id: m.value for m in measure(load_protocol(protocol_id), points, **facts).measurements}


def present(protocol_id, points, **facts) -> dict:
    return {f.id: f.present for f in measure(load_protocol(protocol_id), points, **facts).findings}


def grades(protocol_id, points, **facts) -> dict:
    return {m.id: m.grade for m in measure(load_protocol(protocol_id), points, **facts).measurements}


def hallux_points(hva, ima, **film):
    return on_film(ordered("foot-ap-hallux", hallux_foot(hva, ima)), **film)


def ap_points(film=None, **angles):
    angles = {"hva": 12.0, "talocalcaneal": 20.0, "coverage": 5.0, "mt1_talar": -5.0} | angles
    return on_film(ordered("foot-ap", ap_foot(**angles)), **(film or {}))


def lateral_points(film=None, **angles):
    return on_film(ordered("foot-lateral", lateral_foot(**({"meary": 2.0, "pitch": 22.0} | angles))), **(film or {}))


def standing_points(points, *, left=False, turned=0.0):
    """LPS (22, 3) of a standing foot turned outwards by ``turned`` degrees; a left one is its mirror image."""
    own = ordered("foot-wbct", points) * ((-1.0, 1.0, 1.0) if left else (1.0, 1.0, 1.0))
    c, s = np.cos(np.radians(turned)), np.sin(np.radians(turned))
    return own @ np.array([[c, -s, 0], [s, c, 0], [0, 0, 1]]) * RIGHT_LPS + [12.0, -40.0, 300.0]


# What is in them


def test_landmarks_are_those_of_the_papers_in_their_order():
    assert load_protocol("foot-ap-hallux").landmark_ids == tuple(
        f"{bone}-{i}" for bone in ("PP1", "MT1", "MT2") for i in range(1, 6)
    )
    assert load_protocol("foot-ap").landmark_ids == tuple(f"A{i}" for i in range(1, 17))
    assert load_protocol("foot-lateral").landmark_ids == tuple(f"L{i}" for i in range(1, 12))
    wbct = "T1 T2 TA1 TA2 TA3 TA4 TA5 N1 N2 C1 C2 C3 C4 C5 C6 M1a M1b M2a M2b P1 P2 M5"
    assert load_protocol("foot-wbct").landmark_ids == tuple(wbct.split())


@pytest.mark.parametrize("protocol_id", FEET)
def test_every_landmark_says_where_it_goes_and_no_two_say_the_same(protocol_id):
    protocol = load_protocol(protocol_id)
    texts = [landmark.description for landmark in protocol.landmarks]
    assert len(set(texts)) == len(texts)
    assert len({landmark.name for landmark in protocol.landmarks}) == len(texts)
    assert min(map(len, texts)) > 40


def test_only_what_a_source_names_is_not_marked_inferred():
    named = {
        name
        for protocol_id in FEET[1:]
        for name in load_protocol(protocol_id).landmark_ids
        if not load_protocol(protocol_id).landmark(name).inferred
    }
    assert named == {"A5", "A7", "A15", "A16", "L6", "L8", "L9", "L11", "C1", "P1"}
    for protocol_id in FEET:
        for definition in load_protocol(protocol_id).findings:
            for criterion in definition.criteria:
                assert criterion.inferred or (protocol_id, definition.id) == ("foot-ap-hallux", "hallux-valgus")


def test_an_axis_runs_where_its_name_says():
    lines = axis_lines(load_protocol("foot-ap-hallux"), hallux_points(20.0, 10.0))
    first, fifth = hallux_points(20.0, 10.0)[[5, 9]]
    np.testing.assert_allclose(lines["mt1-axis"].start, first, atol=1e-9)
    np.testing.assert_allclose(lines["mt1-axis"].end, fifth, atol=1e-9)
    ground = axis_lines(load_protocol("foot-lateral"), lateral_points(film={"mirrored": True}))["ground-image"]
    assert ground.end[0] < ground.start[0]
    assert ground.end[1] == pytest.approx(ground.start[1])


# Values and signs


@pytest.mark.parametrize("film", FILMS)
@pytest.mark.parametrize("hva", [-10.0, 0.0, 15.0, 33.3, 60.0])
@pytest.mark.parametrize("ima", [-3.0, 4.0, 25.0])
def test_hallux_angles_are_exact_and_signed_by_the_foot_itself(film, hva, ima):
    for side in STATED:
        found = values("foot-ap-hallux", hallux_points(hva, ima, **film), laterality=side)
        assert found == pytest.approx({"hallux-valgus-angle": hva, "intermetatarsal-angle": ima}, abs=EXACT)


@pytest.mark.parametrize("film", FILMS)
@pytest.mark.parametrize(
    "angles",
    [
        {"hva": -10.0, "talocalcaneal": -5.0, "coverage": -20.0, "mt1_talar": 20.0},
        {"hva": 12.0, "talocalcaneal": 20.0, "coverage": 5.0, "mt1_talar": -5.0},
        {"hva": 60.0, "talocalcaneal": 50.0, "coverage": 45.0, "mt1_talar": -35.0},
    ],
)
def test_ap_angles_are_exact_and_signed_by_the_foot_itself(film, angles):
    expected = dict(
        zip(
            ("hallux-valgus-angle", "talocalcaneal-angle-ap", "talonavicular-coverage", "mt1-talar-angle-ap"),
            angles.values(),
            strict=True,
        )
    )
    for side in STATED:
        assert values("foot-ap", ap_points(film, **angles), laterality=side) == pytest.approx(expected, abs=EXACT)


def test_an_abducted_forefoot_points_laterally_of_the_talus():
    abducted = ap_foot(hva=0.0, talocalcaneal=20.0, coverage=0.0, mt1_talar=-20.0)
    talus = (abducted["A9"] + abducted["A10"]) - (abducted["A13"] + abducted["A14"])
    metatarsal = (abducted["A5"] + abducted["A7"]) - (abducted["A6"] + abducted["A8"])
    assert np.arctan2(*metatarsal) > np.arctan2(*talus)


@pytest.mark.parametrize("film", FILMS)
@pytest.mark.parametrize("meary", [-25.0, 0.0, 30.0])
@pytest.mark.parametrize("pitch", [-8.0, 18.0, 45.0])
def test_lateral_angles_whichever_way_the_toes_point(film, meary, pitch):
    expected = {
        "meary-angle": meary,
        "calcaneal-pitch-ground": pitch - 3.0,
        "talocalcaneal-angle-lateral": pitch + 20.0,
    }
    for side in STATED:
        points = lateral_points(film, meary=meary, pitch=pitch, talus=-20.0, ground=3.0)
        found = values("foot-lateral", points, laterality=side)
        horizontal = found.pop("calcaneal-pitch")
        assert found == pytest.approx(expected, abs=EXACT)
        if film.get("turned", 0.0) % 180 == 0:
            assert horizontal == pytest.approx(pitch, abs=EXACT)


def test_a_flat_foot_is_convex_downwards():
    flat = lateral_foot(meary=20.0, pitch=10.0, talus=-30.0)
    middle = {name: (flat[a] + flat[b]) / 2 for name, a, b in (("body", "L8", "L9"), ("head", "L5", "L6"))}
    assert (middle["head"] - middle["body"])[1] < 0  # the talus points at the ground, the metatarsal less so
    assert values("foot-lateral", on_film(ordered("foot-lateral", flat)))["meary-angle"] == pytest.approx(20.0)


def test_pitch_against_the_horizontal_follows_a_film_that_is_turned():
    turned = values("foot-lateral", lateral_points({"turned": -10.0}, pitch=22.0))
    assert turned["calcaneal-pitch"] == pytest.approx(32.0)
    assert turned["calcaneal-pitch-ground"] == pytest.approx(22.0)


def test_pixels_that_are_not_square_do_not_distort():
    """Landmarks are mm; an image with other spacing and origin must not matter."""
    image = APlane(columns=900, rows=400, spacing=(0.3, 0.7), origin=(20.0, -8.0, 0.0))
    assert values("foot-ap", ap_points(), image=image) == pytest.approx(values("foot-ap", ap_points()), abs=1e-9)
    lateral = values("foot-lateral", lateral_points(), image=image)
    assert lateral == pytest.approx(values("foot-lateral", lateral_points()), abs=1e-9)


@pytest.mark.parametrize("seed", range(12))
def test_wbct_angles_agree_with_plain_trigonometry_on_either_foot(seed):
    foot = standing_foot(np.random.default_rng(seed))
    expected = standing_angles(foot)
    for left in (False, True):
        for turned in (0.0, 12.0, -75.0):
            for side in STATED:
                found = values("foot-wbct", standing_points(foot, left=left, turned=turned), laterality=side)
                assert found == pytest.approx(expected, abs=EXACT)


@pytest.mark.parametrize("angle", [-30.0, 0.0, 17.0, 60.0])
def test_wbct_signs_follow_the_deformity(angle):
    """Each bone is turned about one axis of the foot; only the angles in the plane of that turn follow, by as much."""
    c, s = np.cos(np.radians(angle)), np.sin(np.radians(angle))
    turned = standing_foot()
    outward = np.array([[c, s, 0], [-s, c, 0], [0, 0, 1]])  # distal turns to lateral
    turned["P2"] = turned["P1"] + outward @ (turned["P2"] - turned["P1"])
    turned["N2"] = turned["N1"] + outward @ (turned["N2"] - turned["N1"])
    start, found = (values("foot-wbct", standing_points(foot)) for foot in (standing_foot(), turned))
    moved = {name: found[name] - start[name] for name in found if name[-3:] != "-3d"}
    changed = {name for name, by in moved.items() if abs(by) > 1e-9}
    if angle:
        assert changed == {"hallux-valgus-angle", "talonavicular-coverage"}
    assert moved["hallux-valgus-angle"] == pytest.approx(angle)
    assert moved["talonavicular-coverage"] == pytest.approx(angle)


def test_a_valgus_heel_and_a_medial_talus_count_as_positive():
    foot = standing_foot()
    for name in ("C1", "M2b"):
        foot[name][0] = 0.0
    neutral = standing_foot()
    foot["TA1"][0] -= 10.0  # the dome moves medially of heel and forefoot
    start, valgus = (values("foot-wbct", standing_points(each)) for each in (neutral, foot))
    assert valgus["hindfoot-angle"] > start["hindfoot-angle"] + 5
    assert valgus["foot-ankle-offset"] > start["foot-ankle-offset"] + 4


def test_flattened_and_depressed_heel_bones_have_negative_angles():
    foot = standing_foot()
    foot["C2"][2] = 2.0  # lower than the heel: a rocker-bottom foot
    foot["C4"][2] = 40.0  # the facet driven below the line of the other two
    found = values("foot-wbct", standing_points(foot))
    assert found["calcaneal-pitch"] < 0
    assert found["calcaneal-pitch-3d"] < 0
    assert found["boehler-angle"] < 0


def test_projected_and_spatial_angles_agree_for_bones_that_lie_in_the_plane():
    foot = standing_foot()
    for name in ("TA2", "TA3", "C1", "C2", "M1a", "M1b"):
        foot[name][0] = 0.0
    found = values("foot-wbct", standing_points(foot))
    assert found["mt1-talar-angle-3d"] == pytest.approx(abs(found["meary-angle"]))
    assert found["talocalcaneal-angle-3d"] == pytest.approx(abs(found["talocalcaneal-angle-sagittal"]))
    assert found["calcaneal-pitch-3d"] == pytest.approx(found["calcaneal-pitch"])


# Real axes


def test_real_axes_of_another_group_give_its_angles():
    """1,275 feet: HVA and IMA as published with the end points, which stand in a table without images."""
    with (shared_data("foot_ap_axes") / "axis_train.csv").open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))[::10]
    bones = {"PP1": "great_toe", "MT1": "first_metatarsal", "MT2": "second_metatarsal"}
    differences = []
    for row in rows:
        points = []
        for bone in bones.values():
            ends = np.array([[float(row[f"{bone}_{axis}{k}"]) for axis in "xy"] for k in (1, 2)])
            proximal, distal = ends[np.argsort(-ends[:, 1])]  # toes up
            points += [proximal + part * (distal - proximal) for part in np.linspace(0, 1, 5)]
        found = values("foot-ap-hallux", np.column_stack([200 * np.array(points), np.zeros(15)]))
        differences.append([found["hallux-valgus-angle"] - float(row["HVA"]),
                            found["intermetatarsal-angle"] - float(row["IMA"])])  # fmt: skip
    differences = np.abs(differences)
    assert len(differences) > 100
    assert (np.median(differences, axis=0) < 0.05).all()
    assert (np.mean(differences < 1.0, axis=0) > 0.95).all()


# Grades and findings


@pytest.mark.parametrize(
    ("hva", "grade"),
    [(-10, "normal"), (14.999, "normal"), (15.001, "mild"), (19.999, "mild"), (20.001, "moderate"),
     (39.999, "moderate"), (40.001, "severe")],
)  # fmt: skip
def test_grades_of_the_hallux_valgus_angle(hva, grade):
    assert grades("foot-ap-hallux", hallux_points(hva, 8.0))["hallux-valgus-angle"] == grade
    assert grades("foot-ap", ap_points(hva=hva))["hallux-valgus-angle"] == grade


@pytest.mark.parametrize(
    ("ima", "grade"),
    [(8.999, "normal"), (9.001, "mild"), (10.999, "mild"), (11.001, "moderate"), (17.999, "moderate"),
     (18.001, "severe")],
)  # fmt: skip
def test_grades_of_the_intermetatarsal_angle(ima, grade):
    assert grades("foot-ap-hallux", hallux_points(20.0, ima))["intermetatarsal-angle"] == grade


@pytest.mark.parametrize(
    ("hva", "ima", "severity"),
    [(14, 20, None), (18, 8, "mild"), (18, 10, "mild"), (18, 12, "moderate"), (18, 19, "severe"), (25, 8, "moderate"),
     (25, 19, "severe"), (45, 5, "severe"), (-8, 6, None)],
)  # fmt: skip
def test_severity_is_the_worse_of_both_angles_and_asks_for_valgus(hva, ima, severity):
    found = present("foot-ap-hallux", hallux_points(hva, ima))
    expected = {f"hallux-valgus-{name}": name == severity for name in ("mild", "moderate", "severe")}
    assert found == {"hallux-valgus": severity is not None, **expected}


def test_severity_stays_open_where_the_other_angle_could_make_it_worse():
    foot = standing_foot()
    foot["P2"] = foot["P1"] + [np.tan(np.radians(24.0)) * 30, 30.0, 0.0]
    del foot["M2a"]
    points = standing_points(foot)
    found = present("foot-wbct", points)
    assert values("foot-wbct", points)["intermetatarsal-angle"] is None
    assert found["hallux-valgus"] is True
    assert found["hallux-valgus-mild"] is False
    assert found["hallux-valgus-moderate"] is None
    assert found["hallux-valgus-severe"] is None


@pytest.mark.parametrize(
    ("angles", "finding", "adult", "child"),
    [
        ({"talocalcaneal": 21.99}, "hindfoot-valgus", False, False),
        ({"talocalcaneal": 22.01}, "hindfoot-valgus", True, False),
        ({"talocalcaneal": 43.01}, "hindfoot-valgus", True, True),
        ({"coverage": 6.99}, "forefoot-abduction", False, False),
        ({"coverage": 7.01}, "forefoot-abduction", True, False),
        ({"coverage": 20.01}, "forefoot-abduction", True, True),
        ({"hva": 15.99}, "hallux-valgus", False, False),
        ({"hva": 16.01}, "hallux-valgus", True, False),
        ({"hva": 22.01}, "hallux-valgus", True, True),
    ],
)
def test_findings_on_the_ap_view_by_age(angles, finding, adult, child):
    by_age(("foot-ap", ap_points(**angles)), finding, adult, child)


@pytest.mark.parametrize(
    ("angles", "finding", "adult", "child"),
    [
        ({"meary": 3.99, "pitch": 18.01}, "pes-planus", False, False),
        ({"meary": 4.01, "pitch": 25.0}, "pes-planus", True, False),
        ({"meary": 10.01, "pitch": 25.0}, "pes-planus", True, True),
        ({"meary": 0.0, "pitch": 17.99}, "pes-planus", True, False),
        ({"meary": 0.0, "pitch": 14.99}, "pes-planus", True, True),
        ({"meary": -3.99, "pitch": 35.0}, "pes-cavus", False, False),
        ({"meary": -4.01, "pitch": 25.0}, "pes-cavus", True, False),
        ({"meary": -10.01, "pitch": 25.0}, "pes-cavus", True, True),
    ],
)
def test_findings_on_the_lateral_view_by_age(angles, finding, adult, child):
    by_age(("foot-lateral", lateral_points(**angles)), finding, adult, child)


def by_age(case, finding, adult, child):
    """18 is an adult; below 7 no rule is known; without an age it is told only where both rules agree."""
    found = [present(*case, age=age)[finding] for age in (40, 18, 17.9, 7, 6.9, None)]
    assert found == [adult, adult, child, child, None, adult if adult == child else None]


@pytest.mark.parametrize(
    ("meary", "adult", "child"),
    [(-10.01, "cavus", "cavus"), (-4.01, "cavus", "normal"), (3.99, "normal", "normal"),
     (4.01, "mild planus", "normal"), (10.01, "mild planus", "mild planus"),
     (15.01, "moderate planus", "moderate planus"), (30.01, "severe planus", "severe planus")],
)  # fmt: skip
def test_grades_of_mearys_angle_by_age(meary, adult, child):
    found = [grades("foot-lateral", lateral_points(meary=meary), age=age)["meary-angle"] for age in (30, 10, None, 5)]
    assert found == [adult, child, None, None]


def test_grades_of_the_heel_bone():
    pitches = [grades("foot-lateral", lateral_points(pitch=p), age=30)["calcaneal-pitch"] for p in (17.9, 18.1, 30.1)]
    assert pitches == ["low", "normal", "high"]
    child = [grades("foot-lateral", lateral_points(pitch=p), age=9)["calcaneal-pitch"] for p in (14.9, 15.1)]
    assert child == ["low", "normal"]
    depressed = standing_foot()
    depressed["C4"][2] = 52.0
    found = [grades("foot-wbct", standing_points(foot))["boehler-angle"] for foot in (standing_foot(), depressed)]
    assert found == ["normal", "reduced"]


# Missing and unusable landmarks


def a_foot(protocol_id) -> np.ndarray:
    return {
        "foot-ap-hallux": lambda: hallux_points(24.0, 11.0),
        "foot-ap": ap_points,
        "foot-lateral": lateral_points,
        "foot-wbct": lambda: standing_points(standing_foot()),
    }[protocol_id]()


@pytest.mark.parametrize("protocol_id", FEET)
def test_a_missing_landmark_is_named_and_costs_only_what_needs_it(protocol_id):
    protocol, points = load_protocol(protocol_id), a_foot(protocol_id)
    whole = values(protocol_id, points)
    assert None not in whole.values()
    needed = set()
    for i, landmark in enumerate(protocol.landmark_ids):
        partial = points.copy()
        partial[i] = np.nan
        for measurement in measure(protocol, partial).measurements:
            if measurement.value is None:
                assert f"{landmark} not placed" in measurement.reason
                needed.add(landmark)
            else:
                assert measurement.value == pytest.approx(whole[measurement.id], abs=1e-9)
    assert needed == set(protocol.landmark_ids)


@pytest.mark.parametrize("protocol_id", FEET)
def test_without_any_landmark_everything_has_a_reason_and_nothing_is_found(protocol_id):
    empty = np.full_like(a_foot(protocol_id), np.nan)
    result = measure(load_protocol(protocol_id), empty, age=30)
    assert all(m.value is None and "not placed" in m.reason for m in result.measurements)
    assert {f.present for f in result.findings} == {None}


def test_a_foot_whose_lateral_side_cannot_be_told_gets_no_sign():
    points = hallux_points(20.0, 10.0)
    points[10:] = points[5:10]  # the second metatarsal on top of the first
    result = measure(load_protocol("foot-ap-hallux"), points)
    reason = result.by_id("hallux-valgus-angle").reason
    assert reason.startswith("the ends of from the first to the second metatarsal coincide")
    assert reason.endswith("the sign depends on it")
    points[10:] += points[9] - points[5]  # straight ahead of it
    reason = measure(load_protocol("foot-ap-hallux"), points).by_id("hallux-valgus-angle").reason
    assert "are parallel, and the sign depends on how they turn" in reason


# Intervals


@pytest.mark.parametrize("protocol_id", FEET)
def test_intervals_are_those_of_small_moves_of_every_landmark(protocol_id):
    """Against derivatives by finite differences: 0.1 mm of spread is small enough for the first order."""
    protocol, points = load_protocol(protocol_id), a_foot(protocol_id)
    spread = np.linspace(0.05, 0.15, len(points))
    result = measure(protocol, points, spread=spread)
    variance = dict.fromkeys((m.id for m in result.measurements), 0.0)
    for i in range(len(points)):
        for axis in range(protocol.dimension):
            step = np.zeros_like(points)
            step[i, axis] = 1e-4
            up, down = (values(protocol_id, points + sign * step) for sign in (1, -1))
            for name in variance:
                variance[name] += ((up[name] - down[name]) / 2e-4 * spread[i]) ** 2
    for measurement in result.measurements:
        low, high = measurement.interval
        if measurement.id[-3:] != "-3d" or measurement.id == "calcaneal-pitch-3d":
            assert (low + high) / 2 == pytest.approx(measurement.value)
        # The coronal plane counts as fixed though the heel, part of the angle, turns it too: a few percent too wide.
        tolerance = 0.12 if measurement.id == "hindfoot-angle" else 2e-3
        assert (high - low) / 2 == pytest.approx(1.959964 * variance[measurement.id] ** 0.5, rel=tolerance)
