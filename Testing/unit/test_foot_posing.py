"""A named angle is the angle that the protocol measures, in every view, and the foot stands."""

import numpy as np
import pytest
from support.data import shared_data
from support.posed import posed_foot, standing_foot

from orthoangles.errors import SimulationError
from orthoangles.measuring import measure
from orthoangles.protocols import load_protocol
from orthoangles.simulation.pose.deformities import DEFORMITIES, DISTRIBUTIONS, checked_angles, draw_angles, joint_bias
from orthoangles.simulation.pose.foot_pool import FootPool
from orthoangles.simulation.pose.pose_angles import AngleInView, in_image, lps
from orthoangles.simulation.pose.search import CLEARANCE, HEEL_PAD, SESAMOID_PAD
from orthoangles.simulation.pose.stance import Stance
from orthoangles.simulation.pose.standing import pose_foot, standard_cameras
from orthoangles.simulation.radiography.cameras import ap_camera, lateral_camera

pytestmark = pytest.mark.unit

EXTREMES = [
    ("hallux_valgus", -10),
    ("hallux_valgus", 60),
    ("intermetatarsal", 4),
    ("intermetatarsal", 25),
    ("calcaneal_pitch", 0),
    ("calcaneal_pitch", 45),
    ("meary", -25),
    ("meary", 30),
    ("hindfoot", -15),
    ("hindfoot", 25),
    ("forefoot_abduction", -10),
    ("forefoot_abduction", 40),
]


def drawn(seed, **fixed):
    rng = np.random.default_rng(seed)
    angles = draw_angles(rng, "uniform", fixed)
    return angles, Stance(bias=joint_bias(rng, angles))


def measured(foot, name, cameras):
    """By the public ``measure``, on points made by the camera: not by the code that posed the foot."""
    deformity = DEFORMITIES[name]
    protocol = load_protocol(deformity.protocol)
    points = np.array([foot.landmarks[landmark] for landmark in protocol.landmark_ids])
    if protocol.dimension == 3:
        points = lps(points)
    else:
        points = in_image(points, cameras["lateral" if "lateral" in deformity.protocol else "ap"])
    return measure(protocol, points, laterality="R").by_id(deformity.measurement).value


@pytest.mark.parametrize(("name", "degrees"), EXTREMES)
def test_the_named_angle_is_the_measured_one(name, degrees):
    for seed in range(6):
        angles, stance = drawn(seed, **{name: degrees})
        try:
            foot = pose_foot(standing_foot(), angles, stance)
        except SimulationError:
            continue
        break
    else:
        pytest.fail(f"no foot of six takes {name} = {degrees}")
    for each, goal in angles.items():
        assert measured(foot, each, standard_cameras()) == pytest.approx(goal, abs=0.1)


def test_angles_are_set_in_the_views_that_are_given():
    cameras = {
        "ap": ap_camera((5.0, 50.0, 0.0), tilt=22, turn=9, source_distance=900),
        "lateral": lateral_camera((0.0, 60.0, 60.0), turn=-7, tilt=2),
    }
    goals = {"hallux_valgus": 30.0, "intermetatarsal": 14.0, "meary": 12.0, "calcaneal_pitch": 14.0}
    foot = pose_foot(standing_foot(), goals, cameras=cameras)
    for name, goal in goals.items():
        assert measured(foot, name, cameras) == pytest.approx(goal, abs=0.1)
    # The tube matters: in the standard view the same foot reads otherwise.
    assert abs(measured(foot, "hallux_valgus", standard_cameras()) - 30) > 0.3


def test_an_image_angle_is_the_angle_between_planes_through_the_source():
    """Independent of the camera's code: an axis and the source span a plane, which cuts the detector in a line."""
    foot, camera = posed_foot(hallux_valgus=35.0, intermetatarsal=15.0), standard_cameras()["ap"]
    normal = np.cross(camera.column_step, camera.row_step)

    def trace(first, last):
        plane = np.cross(foot.landmarks[first] - camera.source, foot.landmarks[last] - camera.source)
        line = np.cross(plane, normal)
        return line if line @ camera.row_step < 0 else -line

    first, second = trace("M1a", "M1b"), trace("P1", "P2")
    cosine = first @ second / np.linalg.norm(first) / np.linalg.norm(second)
    a, b = (camera.project(np.array([foot.landmarks[i], foot.landmarks[j]])) for i, j in (("M1a", "M1b"), ("P1", "P2")))
    u, v = a[1] - a[0], b[1] - b[0]
    in_image_plane = np.degrees(np.arccos(u @ v / np.linalg.norm(u) / np.linalg.norm(v)))
    assert np.degrees(np.arccos(cosine)) == pytest.approx(in_image_plane, abs=1e-6)


def test_a_distant_untilted_view_shows_the_angle_projected_on_the_ground():
    foot = posed_foot(hallux_valgus=35.0, intermetatarsal=15.0)
    camera = ap_camera((0.0, 60.0, 0.0), tilt=0, source_distance=1e7)
    wbct = load_protocol("foot-wbct")
    solid = measure(wbct, lps(np.array([foot.landmarks[i] for i in wbct.landmark_ids])), laterality="R")
    flat = {i: camera.project(foot.landmarks[i]) for i in ("M1a", "M1b", "P1", "P2", "M2a", "M2b")}

    def direction(first, last):
        x, y = flat[last] - flat[first]
        return np.arctan2(x, -y)

    valgus = np.degrees(direction("P1", "P2") - direction("M1a", "M1b"))
    between = np.degrees(direction("M2a", "M2b") - direction("M1a", "M1b"))
    assert solid.by_id("hallux-valgus-angle").value == pytest.approx(valgus, abs=0.01)
    assert solid.by_id("intermetatarsal-angle").value == pytest.approx(between, abs=0.01)


def test_the_foot_stands():
    foot = posed_foot(calcaneal_pitch=18.0, meary=4.0)
    lowest = {name: bone.vertices[:, 2].min() for name, bone in foot.bones.items()}
    assert lowest["calcaneus"] == pytest.approx(HEEL_PAD, abs=1.0)
    assert min(lowest["sesamoid_medial"], lowest["sesamoid_lateral"]) == pytest.approx(SESAMOID_PAD, abs=1.5)
    assert min(lowest.values()) > CLEARANCE - 1.5
    x, y, _ = foot.bones["talus"].centroid
    assert (x, y) == pytest.approx((0, 0), abs=0.2)
    assert abs(foot.landmarks["M2b"][0] - foot.bones["calcaneus"].centroid[0]) < 12
    tibia = foot.landmarks["T1"] - foot.landmarks["T2"]
    assert np.degrees(np.arccos(tibia[2] / np.linalg.norm(tibia))) < 8


def test_landmarks_stay_on_their_bones():
    rest = standing_foot()
    foot = posed_foot(hallux_valgus=35.0, intermetatarsal=15.0)
    for name, bone in (("A5", "metatarsal_1"), ("A9", "talus"), ("L10", "calcaneus"), ("A1", "proximal_phalanx_1")):
        vertices = foot.bones[bone].vertices
        assert np.linalg.norm(vertices - foot.landmarks[name], axis=1).min() < 2.5
        assert foot.bones[bone].volume == pytest.approx(rest[bone].volume, rel=1e-9)


def test_gradients_are_derivatives():
    foot, cameras = posed_foot(hallux_valgus=35.0, intermetatarsal=15.0), standard_cameras()
    for deformity in DEFORMITIES.values():
        angle = AngleInView.of(deformity.protocol, deformity.measurement, cameras)
        value, gradient = angle.gradient(foot.landmarks)
        assert value == angle.value(foot.landmarks)
        for name in gradient:
            if deformity.name == "hindfoot" and name in ("M2b", "M1b", "M5", "C1"):
                continue  # these also turn the plane, which the gradient holds fixed
            for axis in range(3):
                step = np.zeros(3)
                step[axis] = 0.01
                ahead = angle.value({**foot.landmarks, name: foot.landmarks[name] + step})
                behind = angle.value({**foot.landmarks, name: foot.landmarks[name] - step})
                assert gradient[name][axis] == pytest.approx((ahead - behind) / 0.02, abs=0.03)


def test_an_impossible_pose_is_refused_with_the_reason():
    angles = {"calcaneal_pitch": 45.0, "meary": 30.0, "hindfoot": 25.0, "forefoot_abduction": -10.0}
    with pytest.raises(SimulationError, match="cannot take this pose"):
        pose_foot(standing_foot(), angles)


@pytest.mark.parametrize("angles", [{"hallux": 20}, {"hallux_valgus": 61}, {"meary": -26}])
def test_angles_that_cannot_be_set_are_named(angles):
    with pytest.raises(SimulationError, match=next(iter(angles))):
        checked_angles(angles)


def test_distributions_are_what_they_say():
    def mean(distribution, name):
        rng = np.random.default_rng(1)
        values = [draw_angles(rng, distribution)[name] for _ in range(800)]
        return np.mean(values), np.std(values)

    valgus, spread = mean("clinic", "hallux_valgus")
    assert valgus == pytest.approx(35.2, abs=1.5)
    assert spread == pytest.approx(10.8, abs=1.5)
    assert mean("clinic", "intermetatarsal")[0] == pytest.approx(13.7, abs=0.6)
    assert mean("population", "hallux_valgus")[0] < 18
    with pytest.raises(SimulationError, match=DISTRIBUTIONS[0]):
        draw_angles(np.random.default_rng(0), "normal")


def test_the_clinic_has_the_angles_of_the_labelled_feet():
    import csv

    with (shared_data("foot_ap_axes") / "axis_train.csv").open() as file:
        rows = list(csv.DictReader(file))
    columns = {"hallux_valgus": "HVA", "intermetatarsal": "IMA"}
    real = {name: np.array([float(row[column]) for row in rows]) for name, column in columns.items()}
    rng = np.random.default_rng(2)
    feet = [draw_angles(rng, "clinic") for _ in range(1500)]
    for name, values in real.items():
        simulated = np.array([foot[name] for foot in feet])
        for share in (10, 25, 50, 75, 90):
            assert np.percentile(simulated, share) == pytest.approx(np.percentile(values, share), abs=1.6)
    correlation = np.corrcoef([foot["hallux_valgus"] for foot in feet], [foot["intermetatarsal"] for foot in feet])
    assert correlation[0, 1] == pytest.approx(np.corrcoef(*real.values())[0, 1], abs=0.08)


def test_real_feet_stand_and_take_deformities():
    pool = FootPool(str(shared_data("bones")), ("z027",))
    bones = pool.standing("foot_vsd_z027_L")
    for seed, fixed in enumerate(({"hallux_valgus": 45.0}, {"meary": 20.0}, {"meary": -15.0})):
        angles, stance = drawn(seed, **fixed)
        foot = pose_foot(bones, angles, stance)
        for name, goal in angles.items():
            assert measured(foot, name, standard_cameras()) == pytest.approx(goal, abs=0.1)
        assert foot.parameters["joint_gaps"]["deepest_penetration_mm"] <= 0.5


def test_no_two_clusters_share_a_person():
    pool = FootPool(str(shared_data("bones")))
    everyone = {}
    for subject in pool.subjects:
        cluster = pool.cluster_of(subject)
        for person in {pool.library.person(name) for name in (subject, *pool.donor_ids(subject))}:
            assert everyone.setdefault(person, cluster) == cluster
    assert len(pool.clusters) >= 3


def test_a_pool_of_unknown_persons_is_refused():
    with pytest.raises(SimulationError, match="z027"):
        FootPool(str(shared_data("bones")), ("nobody",))
