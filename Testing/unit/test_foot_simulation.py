"""One foot, three images: they agree with each other, with the protocols, and with the seed."""

import hashlib
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from support.data import shared_data

from orthoangles.errors import SimulationError
from orthoangles.measuring import measure
from orthoangles.protocols import load_protocol
from orthoangles.simulation.foot import FootOptions, simulate_foot
from orthoangles.simulation.pose.deformities import DEFORMITIES
from orthoangles.simulation.radiography.cameras import Camera
from orthoangles.simulation.radiography.radiograph import render_radiograph
from orthoangles.simulation.tissue.tissue import foot_tissue

pytestmark = pytest.mark.unit
HOME = Path(__file__).parents[2]
SMALL = {"ap": (512, 256), "lateral": (384, 512)}
OPTIONS = FootOptions(views=("ap", "lateral", "wbct"), sizes=SMALL, spacing=1.0)

_FRESH = """
import hashlib, sys
sys.path.insert(0, sys.argv[1])
from orthoangles.simulation.foot import FootOptions, simulate_foot
foot = simulate_foot(FootOptions(views=("ap", "lateral", "wbct"), sizes={sizes}, spacing=1.0), 5)
for image in (foot.ap.image, foot.lateral.image, foot.wbct.array):
    print(hashlib.sha256(image.tobytes()).hexdigest())
""".replace("{sizes}", repr(SMALL))


@pytest.fixture(scope="module")
def foot():
    return simulate_foot(OPTIONS, 5)


def image_points(radiograph, protocol):
    return np.array([[*radiograph.points[name], 0.0] for name in protocol.landmark_ids])


def test_every_angle_is_what_it_was_set_to(foot):
    angles = foot.parameters["pose"]["angles"]
    for name, goal in angles.items():
        deformity = DEFORMITIES[name]
        protocol = load_protocol(deformity.protocol)
        if protocol.dimension == 3:
            points = np.array([foot.wbct.points[landmark] for landmark in protocol.landmark_ids])
        else:
            points = image_points(foot.lateral if "lateral" in deformity.protocol else foot.ap, protocol)
        value = measure(protocol, points, laterality=foot.posed.side).by_id(deformity.measurement).value
        assert value == pytest.approx(goal, abs=0.1), name


def test_the_three_images_agree_to_the_micrometre(foot):
    """A landmark of the volume, carried back to the foot and through each radiograph's camera, meets its pixel."""
    turn = np.deg2rad(foot.wbct.parameters["style"]["turn"])
    x, y, z = np.array([foot.wbct.points[name] for name in foot.posed.landmarks]).T * [[-1.0], [-1.0], [1.0]]
    if foot.posed.side == "L":
        x = -x
    back = np.column_stack([x * np.cos(turn) - y * np.sin(turn), x * np.sin(turn) + y * np.cos(turn), z])
    assert back == pytest.approx(np.array(list(foot.posed.landmarks.values())), abs=1e-6)
    for radiograph in (foot.ap, foot.lateral):
        camera = Camera.from_json(radiograph.parameters["camera"])
        if foot.posed.side == "L":
            camera = camera.mirrored()
        pixels = camera.project(back)
        if foot.posed.side == "L":
            pixels[:, 0] = camera.shape[1] - 1 - pixels[:, 0]
        shown = np.array([radiograph.points[name] for name in foot.posed.landmarks])
        assert pixels == pytest.approx(shown, abs=1e-4)


def test_every_landmark_of_every_protocol_is_there(foot):
    for protocol_id, points in (
        ("foot-ap", foot.ap.points),
        ("foot-ap-hallux", foot.ap.points),
        ("foot-lateral", foot.lateral.points),
        ("foot-wbct", foot.wbct.points),
    ):
        assert set(load_protocol(protocol_id).landmark_ids) <= set(points)


def test_the_same_seed_gives_the_same_bytes_in_another_process(foot):
    fresh = subprocess.run([sys.executable, "-c", _FRESH, str(HOME)], capture_output=True, text=True, check=True)
    mine = [hashlib.sha256(each.tobytes()).hexdigest() for each in (foot.ap.image, foot.lateral.image, foot.wbct.array)]
    assert fresh.stdout.split() == mine


def test_what_is_asked_of_one_view_changes_nothing_in_another(foot):
    alone = simulate_foot(replace(OPTIONS, views=("lateral",)), 5)
    assert alone.ap is None
    assert alone.wbct is None
    assert np.array_equal(alone.lateral.image, foot.lateral.image)


def test_left_is_the_mirror_of_right(foot):
    plain = simulate_foot(replace(OPTIONS, views=("ap",), plain=True), 5)
    posed, tissue = plain.posed, foot_tissue(plain.posed, np.random.default_rng(0))
    camera = Camera.from_json(plain.ap.parameters["camera"])
    camera = camera if posed.side == "R" else camera.mirrored()
    style = replace(_plain_style(), photons=0.0)
    right, left = (
        render_radiograph(replace(posed, side=side), tissue, camera, np.random.default_rng(1), style) for side in "RL"
    )
    assert np.array_equal(left.image, right.image[:, ::-1])
    for name, (x, y) in right.points.items():
        assert left.points[name] == pytest.approx((camera.shape[1] - 1 - x, y), abs=1e-9)


def _plain_style():
    from orthoangles.simulation.radiography.radiograph_style import RadiographStyle

    return RadiographStyle()


def test_other_seeds_give_other_feet(foot):
    other = simulate_foot(replace(OPTIONS, views=("ap",)), 6)
    assert other.parameters["pose"]["angles"] != foot.parameters["pose"]["angles"]
    assert not np.array_equal(other.ap.image, foot.ap.image)


def test_fixed_angles_and_sizes_are_kept():
    asked = FootOptions(sizes=SMALL, angles={"hallux_valgus": 40.0}, distribution="clinic")
    found = simulate_foot(asked, 1)
    assert found.parameters["pose"]["angles"]["hallux_valgus"] == 40.0
    assert (found.ap.image.shape, found.lateral.image.shape) == ((512, 256), (384, 512))


@pytest.mark.parametrize(
    "wrong",
    [
        {"views": ("oblique",)},
        {"views": ()},
        {"spacing": 0.2},
        {"distribution": "normal"},
        {"angles": {"hallux_valgus": 90.0}},
    ],
)
def test_options_that_make_no_sense_are_refused(wrong):
    with pytest.raises(SimulationError):
        FootOptions(**wrong)


def test_angles_that_do_not_go_together_are_refused_by_seed(monkeypatch):
    monkeypatch.setattr("orthoangles.simulation.foot._ATTEMPTS", 1)
    with pytest.raises(SimulationError, match="seed 3"):
        simulate_foot(FootOptions(angles={"calcaneal_pitch": 45.0, "meary": 30.0}), 3)


def test_a_foot_of_real_bones_names_its_persons():
    found = simulate_foot(FootOptions(bones=str(shared_data("bones")), sizes=SMALL, persons=("z013",)), 2)
    assert found.persons == ("z013",)
    assert found.group == "z013"
    assert found.parameters["pose"]["joint_gaps"]["deepest_penetration_mm"] <= 0.5


def test_work_shared_through_a_folder_gives_the_same_foot(tmp_path):
    """The engine's workers share standing feet: a foot of theirs is the one that is made alone."""
    from orthoangles.simulation.pose.foot_pool import FootPool

    alone = FootPool().standing("procedural")
    for _ in range(2):  # the first writes, the second reads
        pool = FootPool()
        pool.share(tmp_path)
        shared = pool.standing("procedural")
        assert list(shared) == list(alone)
        assert all(np.array_equal(shared[name].vertices, alone[name].vertices) for name in alone)
