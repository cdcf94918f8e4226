"""Every landmark lies where its name says, moves with its bone alone, and moves little when the bone changes little."""

import json
from functools import cache

import numpy as np
import pytest
from support.data import shared_data

from orthoangles.errors import SimulationError
from orthoangles.simulation.anatomy.bone_frames import nearest_on_triangles
from orthoangles.simulation.anatomy.bones import Bone, BoneLibrary, BoneSet
from orthoangles.simulation.anatomy.landmarks import RULES, foot_landmarks
from orthoangles.simulation.anatomy.procedural_bones import procedural_foot

pytestmark = pytest.mark.unit

HANDLES = {f"{shaft}-{number}" for shaft in ("PP1", "MT1", "MT2") for number in range(1, 6)}
WBCT = {f"TA{n}" for n in range(1, 6)} | {f"C{n}" for n in range(1, 7)}
WBCT |= {"T1", "T2", "N1", "N2", "M1a", "M1b", "M2a", "M2b", "P1", "P2", "M5"}
ALL = {f"A{n}" for n in range(1, 17)} | {f"L{n}" for n in range(1, 12)} | WBCT | HANDLES
INSIDE = {"T1", "TA2", "TA3", "M1b", "M2b", "P2"} | HANDLES
READ_BY_HEIGHT = {"C1", "M5", "L7"}
REAL = ("foot_vsd_z027_R", "foot_staple_tlem2_ct_L", "foot_vsd_z013_L")


@cache
def foot(name: str) -> BoneSet:
    return procedural_foot() if name == "procedural" else BoneLibrary(shared_data("bones")).subject(name)


@cache
def points(name: str) -> dict[str, np.ndarray]:
    return positions(foot(name))


def positions(bones, up=(0, 0, 1), **limits) -> dict[str, np.ndarray]:
    return {name: point.position for name, point in foot_landmarks(bones, up, **limits).items()}


def rotation(rng: np.random.Generator, degrees: float) -> np.ndarray:
    from scipy.spatial.transform import Rotation

    axis = rng.normal(size=3)
    return Rotation.from_rotvec(axis / np.linalg.norm(axis) * np.radians(degrees)).as_matrix()


def heading(p: dict[str, np.ndarray], start, end) -> float:
    """Degrees that the line between two points (or middles of pairs) turns medially from straight ahead."""
    x, y, _ = middle(p, end) - middle(p, start)
    return float(np.degrees(np.arctan2(-x, y)))


def descent(p: dict[str, np.ndarray], start, end) -> float:
    """Degrees that the line points down."""
    x, y, z = middle(p, end) - middle(p, start)
    return float(np.degrees(np.arctan2(-z, np.hypot(x, y))))


def middle(p: dict[str, np.ndarray], names) -> np.ndarray:
    return np.mean([p[name] for name in ([names] if isinstance(names, str) else names)], axis=0)


def hallux_valgus(p: dict[str, np.ndarray]) -> float:
    return heading(p, "MT1-1", "MT1-5") - heading(p, "PP1-1", "PP1-5")


feet = pytest.mark.parametrize("name", ["procedural", *REAL])


@feet
def test_a_whole_foot_has_every_landmark(name):
    assert set(points(name)) == ALL


@feet
def test_landmarks_of_surfaces_lie_on_their_bone(name):
    bones = foot(name)
    for landmark, point in foot_landmarks(bones).items():
        bone = bones[point.bone]
        gap = np.linalg.norm(nearest_on_triangles(point.position, bone.vertices[bone.faces]) - point.position)
        assert gap < 0.05 or landmark in INSIDE, f"{landmark} is {gap:.2f} mm off the {point.bone}"


@feet
def test_a_foot_turned_as_a_whole_keeps_its_landmarks(name):
    rng = np.random.default_rng(3)
    turn, shift = rotation(rng, 140), rng.normal(size=3) * 200
    moved = positions({n: b.moved(turn, shift) for n, b in foot(name).items()}, turn @ (0, 0, 1))
    for landmark, place in points(name).items():
        assert np.linalg.norm(moved[landmark] - (turn @ place + shift)) < 1e-6, landmark


@feet
def test_a_landmark_moves_with_its_bone_and_never_with_a_joint(name):
    rng = np.random.default_rng(5)
    moves = {}
    for bone in foot(name).values():
        turn, pivot = rotation(rng, 25), bone.vertices[rng.integers(len(bone.vertices))]
        moves[bone.name] = turn, pivot - turn @ pivot
    moved = foot_landmarks({n: b.moved(*moves[n]) for n, b in foot(name).items()})
    for landmark, place in points(name).items():
        if landmark not in READ_BY_HEIGHT:
            turn, shift = moves[moved[landmark].bone]
            assert np.linalg.norm(moved[landmark].position - (turn @ place + shift)) < 0.1, landmark


@feet
def test_a_child_s_foot_has_them_at_the_same_places(name):
    small = positions({n: b.with_vertices(0.6 * b.vertices) for n, b in foot(name).items()})
    for landmark, place in points(name).items():
        # T1 keeps its distance from the ankle in mm: it is where a scan ends.
        assert landmark == "T1" or np.linalg.norm(small[landmark] / 0.6 - place) < 0.01, landmark


@feet
def test_a_small_change_of_shape_moves_them_little(name):
    rng = np.random.default_rng(11)
    bones = {n: foot(name)[n] for n in RULES}
    moved = []
    for _ in range(2):
        bent = {n: b.with_vertices(b.vertices + 0.3 * ripple(b.vertices, rng)) for n, b in bones.items()}
        start, end = positions(bones), positions(bent)
        moved.append([np.linalg.norm(end[n] - start[n]) for n in start])
    worst = np.max(moved, axis=0)
    assert worst.max() < 2.5, dict(zip(start, worst.round(2), strict=True))
    assert np.mean(moved) < 0.4


def ripple(vertices: np.ndarray, rng: np.random.Generator, width: float = 15.0) -> np.ndarray:
    """A smooth displacement field whose longest vector is 1 mm."""
    centres = vertices[rng.integers(len(vertices), size=6)]
    distance = ((vertices[:, None] - centres[None]) ** 2).sum(axis=-1)
    field = np.exp(-distance / (2 * width**2)) @ rng.normal(size=(6, 3))
    return field / np.linalg.norm(field, axis=1).max()


@feet
def test_a_stretched_bone_stretches_its_landmarks(name):
    # 6 % in a random direction is more than the difference between the two lesser axes of inertia of talus and
    # calcaneus: a frame that leant on those would roll over.
    rng = np.random.default_rng(17)
    for _ in range(2):
        maps = {}
        for bone in RULES:
            axes = rotation(rng, rng.uniform(0, 180))
            maps[bone] = axes @ np.diag([1.06, 0.96, 1.0]) @ axes.T
        stretched = foot_landmarks(
            {n: b.with_vertices(b.vertices @ maps[n]) for n, b in foot(name).items() if n in maps}
        )
        for landmark, point in stretched.items():
            expected = points(name)[landmark] @ maps[point.bone]
            assert np.linalg.norm(point.position - expected) < 12, landmark


def test_up_moves_only_lowest_points():
    upright, tilted = points("procedural"), positions(foot("procedural"), (0.3, -0.25, 1))
    changed = {name for name in upright if np.linalg.norm(upright[name] - tilted[name]) > 1e-9}
    assert changed == READ_BY_HEIGHT


def pairs(text: str) -> list[list[str]]:
    return [pair.split() for pair in text.split(",")]


MEDIAL_LATERAL = pairs("A1 A3,A2 A4,A5 A7,A6 A8,A9 A10,A11 A12,A13 A14,TA4 TA5,N1 N2,M1b M2b")
PROXIMAL_DISTAL = pairs("A2 A1,A4 A3,A6 A5,A8 A7,A16 A15,L3 L1,L4 L2,TA2 TA3,C3 C4,C4 C6,C6 C5,C1 C2,L11 L10")
LOW_HIGH = pairs("L2 L1,L4 L3,L6 L5,L9 L8,C6 C4,C6 C5,C1 C3,T2 T1,C2 C5")


@feet
@pytest.mark.parametrize(("axis", "sides"), [(0, MEDIAL_LATERAL), (1, PROXIMAL_DISTAL), (2, LOW_HIGH)])
def test_names_of_sides_hold(name, axis, sides):
    for less, more in sides:
        assert points(name)[more][axis] - points(name)[less][axis] > 2, (less, more)


@feet
def test_handles_run_evenly_along_the_shaft(name):
    p = points(name)
    for shaft in ("PP1", "MT1", "MT2"):
        steps = np.diff([p[f"{shaft}-{number}"] for number in range(1, 6)], axis=0)
        lengths = np.linalg.norm(steps, axis=1)
        assert lengths.min() > 0.85 * lengths.max()
        along = steps.sum(axis=0) / np.linalg.norm(steps.sum(axis=0))
        assert (steps @ along / lengths > np.cos(np.radians(25))).all()


@pytest.mark.parametrize("name", REAL)
def test_angles_agree_with_those_measured_when_the_bones_were_collected(name):
    # The library measured them by another rule: principal axes and mid-shaft lines of the meshes.
    measured = json.loads((shared_data("bones") / "manifest.json").read_text())["folders"][name]["measures"]
    p = points(name)
    assert hallux_valgus(p) == pytest.approx(measured["hva_shaft"], abs=4)
    between = heading(p, "MT1-1", "MT1-5") - heading(p, "MT2-1", "MT2-5")
    assert between == pytest.approx(measured["ima_shaft"], abs=2)
    assert descent(p, ("L3", "L4"), ("L1", "L2")) == pytest.approx(measured["mt1_declination_shaft"], abs=5)
    assert -descent(p, "L11", "L10") == pytest.approx(measured["calcaneal_pitch"], abs=5)


@feet
def test_two_ways_to_read_one_axis_agree(name):
    p = points(name)
    outline = heading(p, ("A6", "A8"), ("A5", "A7")) - heading(p, ("A2", "A4"), ("A1", "A3"))
    assert outline == pytest.approx(hallux_valgus(p), abs=4)
    assert descent(p, ("L3", "L4"), ("L1", "L2")) == pytest.approx(descent(p, "M1a", "M1b"), abs=4)
    assert descent(p, ("L8", "L9"), ("L5", "L6")) == pytest.approx(descent(p, "TA2", "TA3"), abs=8)


@feet
def test_the_ap_axis_of_the_talus_is_long_and_runs_with_the_talus(name):
    p, bones = points(name), foot(name)
    neck, head = ("A13", "A14"), ("A9", "A10")
    assert np.linalg.norm(middle(p, head) - middle(p, neck)) > 14
    assert heading(p, neck, head) == pytest.approx(heading(p, "TA2", "TA3"), abs=8)
    rng = np.random.default_rng(23)
    for _ in range(3):
        talus = bones["talus"].with_vertices(bones["talus"].vertices + 0.3 * ripple(bones["talus"].vertices, rng))
        bent = p | positions({**bones, "talus": talus}, only={"talus"})
        assert heading(bent, neck, head) == pytest.approx(heading(p, neck, head), abs=1.5)


def test_the_procedural_foot_measures_as_it_is_built():
    p = points("procedural")
    assert 6 < hallux_valgus(p) < 18
    assert 6 < heading(p, "MT1-1", "MT1-5") - heading(p, "MT2-1", "MT2-5") < 12
    assert 14 < -descent(p, "L11", "L10") < 26


def test_both_feet_of_a_person_have_them_at_the_same_places():
    left, right = foot_landmarks(foot("foot_vsd_z027_L")), foot_landmarks(foot("foot_vsd_z027_R"))
    apart = []
    for bone in RULES:
        own = [name for name, point in left.items() if point.bone == bone]
        for first in own:
            for second in own:
                spans = [np.linalg.norm(p[first].position - p[second].position) for p in (left, right)]
                apart.append(abs(spans[0] - spans[1]))
    assert max(apart) < 5
    assert np.median(apart) < 1


def test_landmarks_of_missing_bones_are_left_out():
    bones = {name: bone for name, bone in foot("procedural").items() if name in ("tibia", "fibula", "talus")}
    assert {point.bone for point in foot_landmarks(bones).values()} == {"tibia", "talus"}


def test_a_bone_without_direction_is_refused():
    ball = foot("procedural")["talus"]
    round_bone = Bone("talus", *_icosahedron())
    with pytest.raises(SimulationError, match="talus: its shape shows no direction"):
        foot_landmarks({**foot("procedural"), ball.name: round_bone})


def _icosahedron() -> tuple[np.ndarray, np.ndarray]:
    import trimesh

    mesh = trimesh.creation.icosphere(subdivisions=3, radius=20)
    return np.asarray(mesh.vertices, dtype=np.float64), np.asarray(mesh.faces, dtype=np.int32)
