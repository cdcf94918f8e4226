"""Other shapes of feet: random variation, blending of persons, grafted toes."""

import json
from dataclasses import replace

import numpy as np
import pytest
from support.data import shared_data

from orthoangles.errors import SimulationError
from orthoangles.simulation.anatomy import blending
from orthoangles.simulation.anatomy.blending import ShapeMatches, blend, blend_feet
from orthoangles.simulation.anatomy.bones import FOOT_BONES, PHALANGES, SESAMOIDS, Bone, BoneLibrary, BoneSet
from orthoangles.simulation.anatomy.congruity import contacts
from orthoangles.simulation.anatomy.grafting import complete_foot
from orthoangles.simulation.anatomy.implicit import turned
from orthoangles.simulation.anatomy.procedural_bones import procedural_foot
from orthoangles.simulation.anatomy.registration import register
from orthoangles.simulation.anatomy.shape import principal_axes, scaled, vary_shape
from orthoangles.simulation.anatomy.smoothing import deformed, folded
from orthoangles.simulation.anatomy.surface_distance import gap, signed_distance

pytestmark = pytest.mark.unit


@pytest.fixture(scope="module")
def foot() -> BoneSet:
    return procedural_foot()


def of_person(bones: BoneSet, person: str, **changes) -> BoneSet:
    """The same bones as somebody else's."""
    owned = {name: replace(bone, person=person) for name, bone in bones.items()}
    return replace(bones, id=person, person=person, bones=owned, **changes)


@pytest.fixture(scope="module")
def another(foot) -> BoneSet:
    """A foot of clearly different shape, of another person."""
    return of_person(vary_shape(foot, np.random.default_rng(11), amount=2.0)[0], "another")


def joint_gaps(bones: BoneSet) -> dict[tuple[str, str], float]:
    return {(each.first, each.second): gap(bones[each.first], bones[each.second]) for each in contacts(bones)}


def extents(bone: Bone, axes: np.ndarray) -> np.ndarray:
    return np.ptp((bone.vertices - bone.centroid) @ axes, axis=0)


# --- distances --------------------------------------------------------------------------------------------------------


def test_distances_to_a_block_are_exact_and_signed_even_beyond_its_edges_and_corners():
    import trimesh

    mesh = trimesh.creation.box(extents=(4, 2, 6)).subdivide()
    block = Bone("block", np.asarray(mesh.vertices), np.asarray(mesh.faces))
    points = np.random.default_rng(0).uniform(-6, 6, (600, 3))
    beyond = np.abs(points) - (2, 1, 3)
    exact = np.linalg.norm(np.maximum(beyond, 0), axis=1) + np.minimum(beyond.max(axis=1), 0)
    found = signed_distance(block, points)
    assert np.array_equal(found < 0, exact < 0)
    near = np.abs(exact) < 1
    assert found[near] == pytest.approx(exact[near], abs=1e-6)


# --- size and random shape -------------------------------------------------------------------------------------------


def test_a_scaled_foot_has_scaled_volumes_and_joints(foot):
    child = scaled(foot, 0.7)
    assert child["talus"].volume == pytest.approx(0.343 * foot["talus"].volume)
    assert gap(child["talus"], child["tibia"]) == pytest.approx(0.7 * gap(foot["talus"], foot["tibia"]), abs=1e-6)


@pytest.mark.parametrize("factor", [0, -1, float("nan"), float("inf")])
def test_a_foot_is_not_scaled_to_nothing(foot, factor):
    with pytest.raises(SimulationError, match="positive"):
        scaled(foot, factor)


@pytest.mark.parametrize("amount", [-0.1, float("nan")])
def test_a_negative_variation_is_refused(foot, amount):
    with pytest.raises(SimulationError, match="0 or more"):
        vary_shape(foot, np.random.default_rng(0), amount=amount)


def test_no_variation_gives_the_same_foot(foot):
    varied, _ = vary_shape(foot, np.random.default_rng(0), amount=0)
    assert all(np.allclose(varied[name].vertices, bone.vertices, atol=1e-9) for name, bone in foot.items())


def test_variation_follows_the_seed_and_is_told(foot):
    first, drawn = vary_shape(foot, np.random.default_rng(1))
    again, _ = vary_shape(foot, np.random.default_rng(1))
    assert all(first[name].vertices.tobytes() == again[name].vertices.tobytes() for name in foot)
    assert json.loads(json.dumps(drawn)) == drawn
    assert set(drawn["bone_scale"]) == set(foot)


@pytest.mark.parametrize("seed", range(3))
def test_variation_changes_bones_by_some_percent_and_leaves_joints_congruent(foot, seed):
    before = joint_gaps(foot)
    facing = {
        (each.first, each.second): (each.first_rows, signed_distance(foot[each.second], at))
        for each in contacts(foot)
        for at in [foot[each.first].vertices[each.first_rows]]
    }
    varied, _ = vary_shape(foot, np.random.default_rng(seed))
    change = []
    for name, bone in foot.items():
        assert not folded(bone, varied[name])
        assert varied[name].volume > 0.7 * bone.volume
        axes = principal_axes(bone)
        change.append(extents(varied[name], axes) / extents(bone, axes) - 1)
    assert 0.02 < np.std(change) < 0.08
    for (first, second), rest in before.items():
        assert abs(gap(varied[first], varied[second]) - rest) < 0.8
        rows, distance = facing[first, second]
        moved = signed_distance(varied[second], varied[first].vertices[rows]) - distance
        assert np.sqrt((moved**2).mean()) < 0.7, f"{first} and {second}"


def test_variation_keeps_the_joints_of_a_real_foot():
    foot = BoneLibrary(shared_data("bones")).subject("foot_vsd_z027_R")
    before = joint_gaps(foot)
    for seed in range(2):
        varied, _ = vary_shape(foot, np.random.default_rng(seed))
        change = [abs(gap(varied[first], varied[second]) - rest) for (first, second), rest in before.items()]
        assert max(change) < 0.7


def test_a_move_that_would_fold_the_surface_is_eased_only_there(foot):
    bone = foot["talus"]
    move = np.zeros_like(bone.vertices)
    row = bone.faces[(bone.faces == 7).any(axis=1)]
    # One vertex dragged across its neighbours.
    move[7] = 2.5 * (bone.vertices[row].mean(axis=(0, 1)) - bone.vertices[7]) + 3 * (
        bone.vertices[row[0, 1]] - bone.vertices[row[0, 0]]
    )
    assert folded(bone, bone.with_vertices(bone.vertices + move))
    eased = deformed(bone, move)
    assert not folded(bone, eased)
    far = np.linalg.norm(bone.vertices - bone.vertices[7], axis=1) > 40
    assert np.allclose(eased.vertices[far], bone.vertices[far], atol=1e-3)


def test_a_bone_is_not_turned_inside_out(foot):
    bone = foot["navicular"]
    with pytest.raises(SimulationError, match="navicular"):
        deformed(bone, -2 * (bone.vertices - bone.centroid) * (1, 0, 0))


# --- laying bones over each other ------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["talus", "calcaneus", "navicular", "metatarsal_1", "proximal_phalanx_2", "tibia"])
def test_a_moved_and_grown_bone_is_found_again(foot, name):
    bone = foot[name]
    rotation = turned(x=14, y=-10, z=12)
    other = bone.with_vertices(1.15 * (bone.vertices @ rotation.T) + (20, -5, 9))
    similarity = register(bone, other)
    assert similarity.fits
    left = np.linalg.norm(similarity(other.vertices) - bone.vertices, axis=1)
    # The cut end of the tibia is not compared.
    assert np.percentile(left, 50) < 0.5
    if name != "tibia":
        assert similarity.scale == pytest.approx(1 / 1.15, abs=0.01)
        assert left.max() < 1.0


def test_different_bones_are_not_laid_over_each_other(foot):
    with pytest.raises(SimulationError, match="different bones"):
        register(foot["talus"], foot["navicular"])


# --- blending --------------------------------------------------------------------------------------------------------


def shape_difference(bone: Bone, other: Bone) -> float:
    """RMS distance in mm between two bones laid over each other."""
    return float(np.sqrt((signed_distance(bone, register(bone, other)(other.vertices)) ** 2).mean()))


@pytest.mark.parametrize("name", ["talus", "calcaneus", "metatarsal_1"])
def test_a_blended_bone_lies_between_two_persons(foot, another, name):
    matches = ShapeMatches()
    bone, other = foot[name], another[name]
    half, whole = (blend(bone, other, amount, matches) for amount in (0.5, 1.0))
    apart = shape_difference(bone, other)
    assert shape_difference(whole, other) < 0.5 * apart
    assert 0.5 * apart < shape_difference(half, other) + shape_difference(half, bone) < 1.5 * apart
    assert half.person == "procedural+another"
    assert not folded(bone, whole)


def test_a_bone_blended_by_nothing_is_the_same(foot, another):
    assert blend(foot["talus"], another["talus"], 0.0) is foot["talus"]


@pytest.mark.parametrize("amount", [-0.1, 1.1, float("nan")])
def test_bones_are_not_extrapolated(foot, another, amount):
    with pytest.raises(SimulationError, match="0 to 1"):
        blend(foot["talus"], another["talus"], amount)


def test_a_blended_foot_keeps_its_joints_and_names_both_persons(foot, another):
    before = joint_gaps(foot)
    blended, drawn = blend_feet(foot, [foot, another], np.random.default_rng(2))
    assert blended.persons == ("another", "procedural")
    assert len(drawn["bones"]) > 25
    assert {entry["towards"] for entry in drawn["bones"].values()} == {"another"}
    assert 0 < drawn["bones"]["talus"]["amount"] <= blending.LARGEST_AMOUNT
    assert json.loads(json.dumps(drawn)) == drawn
    for (first, second), rest in before.items():
        assert abs(gap(blended[first], blended[second]) - rest) < 0.7


def test_blending_follows_the_seed_and_the_kept_results_change_nothing(foot, another, tmp_path, monkeypatch):
    kept = ShapeMatches(tmp_path / "matches")
    first, _ = blend_feet(foot, [another], np.random.default_rng(5), matches=kept)
    monkeypatch.setattr(blending, "register", lambda *_: pytest.fail("laid over each other again"))
    for matches in (kept, ShapeMatches(tmp_path / "matches")):
        again, _ = blend_feet(foot, [another], np.random.default_rng(5), matches=matches)
        assert all(first[name].vertices.tobytes() == again[name].vertices.tobytes() for name in foot)
    assert not list((tmp_path / "matches").glob("*.draft"))


def test_a_foot_is_not_blended_with_its_own_person(foot):
    blended, drawn = blend_feet(foot, [foot], np.random.default_rng(0))
    assert drawn["bones"] == {}
    assert blended.persons == ("procedural",)
    assert all(np.allclose(blended[name].vertices, bone.vertices) for name, bone in foot.items())


def test_ankles_lend_leg_and_talus_and_hindfeet_the_calcaneus(foot, another):
    ankle = of_person(another, "ankle", kind="ankle").with_bones(
        {name: replace(another[name], person="ankle") for name in ("tibia", "fibula", "talus")}
    )
    hindfoot = of_person(another, "hindfoot", kind="hindfoot")
    matches, lent = ShapeMatches(), set()
    for seed in range(6):
        _, drawn = blend_feet(foot, [ankle, hindfoot], np.random.default_rng(seed), matches=matches)
        lent |= {(name, entry["towards"]) for name, entry in drawn["bones"].items()}
    assert lent == {*((name, "ankle") for name in ("tibia", "fibula", "talus")), ("calcaneus", "hindfoot")}


def test_a_talus_cut_by_a_surgeon_lends_nothing(foot, another):
    operated = replace(of_person(another, "patient"), id="hindfoot_lenz_jma/TAR_04_L")
    other_side = replace(of_person(another, "patient"), id="hindfoot_lenz_jma/NonTAR_04_R")
    for donor, lends in ((operated, False), (other_side, True)):
        one_bone = donor.with_bones({"talus": donor["talus"]})
        _, drawn = blend_feet(foot, [one_bone], np.random.default_rng(0))
        assert ("talus" in drawn["bones"]) is lends


def test_real_feet_blend_with_feet_ankles_and_hindfeet():
    library = BoneLibrary(shared_data("bones"))
    foot = library.subject("foot_vsd_z027_R")
    names = ("foot_staple_tlem2_ct_R", "ankles_talocrural_ssm/KSBL_L_09", "hindfoot_lenz_jma/NonTTA_10_R")
    donors = [library.subject(name) for name in names]
    before = joint_gaps(foot)
    blended, drawn = blend_feet(foot, donors, np.random.default_rng(1))
    assert len(drawn["bones"]) >= 25
    change = [abs(gap(blended[first], blended[second]) - rest) for (first, second), rest in before.items()]
    assert max(change) < 0.6


# --- grafting --------------------------------------------------------------------------------------------------------


def without_toes(bones: BoneSet) -> BoneSet:
    """The foot as some scans show it: every toe one piece, no sesamoids."""
    kept = {name: bone for name, bone in bones.items() if name not in (*PHALANGES, *SESAMOIDS)}
    for ray in range(1, 6):
        parts = [bones[name] for name in PHALANGES if name.endswith(f"_{ray}")]
        starts = np.cumsum([0, *(len(part.vertices) for part in parts)])
        faces = np.concatenate([part.faces + start for part, start in zip(parts, starts[:-1], strict=True)])
        name = f"toe_fused_{ray}"
        kept[name] = Bone(name, np.concatenate([part.vertices for part in parts]), faces, bones.person)
    return bones.with_bones(kept)


def toe_middle(bones: BoneSet, ray: int) -> np.ndarray:
    parts = [bones[name] for name in PHALANGES if name.endswith(f"_{ray}")]
    return sum(part.volume * part.centroid for part in parts) / sum(part.volume for part in parts)


def test_grafted_toes_lie_where_the_fused_ones_were(foot, another):
    donor = scaled(another, 1.2)
    whole = complete_foot(without_toes(foot), donor)
    assert tuple(whole) == FOOT_BONES
    assert whole.persons == ("another", "procedural")
    assert whole["metatarsal_1"] is foot["metatarsal_1"]
    for ray in range(1, 6):
        assert whole[f"proximal_phalanx_{ray}"].person == "another"
        assert np.linalg.norm(toe_middle(whole, ray) - toe_middle(foot, ray)) < 4
        assert gap(whole[f"proximal_phalanx_{ray}"], whole[f"metatarsal_{ray}"]) == pytest.approx(1.5, abs=0.3)
    for name in SESAMOIDS:
        assert np.linalg.norm(whole[name].centroid - foot[name].centroid) < 3
        assert gap(whole[name], whole["metatarsal_1"]) == pytest.approx(1.0, abs=0.3)


def test_a_donors_overlapping_phalanges_are_set_apart(foot, another):
    bones = dict(another)
    inward = another["proximal_phalanx_2"].centroid - another["middle_phalanx_2"].centroid
    bones["middle_phalanx_2"] = another["middle_phalanx_2"].moved(np.eye(3), 3 * inward / np.linalg.norm(inward))
    donor = another.with_bones(bones)
    assert gap(donor["proximal_phalanx_2"], donor["middle_phalanx_2"]) < 0
    whole = complete_foot(without_toes(foot), donor)
    assert gap(whole["proximal_phalanx_2"], whole["middle_phalanx_2"]) > 0.5
    assert gap(whole["middle_phalanx_2"], whole["distal_phalanx_2"]) > 0.5


def test_a_toe_that_points_elsewhere_is_followed(foot, another):
    bent = without_toes(foot)
    head = foot["metatarsal_1"].vertices[foot["metatarsal_1"].vertices[:, 1].argmax()] - (0, 7, 0)
    turn = turned(z=-20)
    fused = bent["toe_fused_1"].moved(turn, head - turn @ head)
    whole = complete_foot(bent.with_bones({**bent, "toe_fused_1": fused}), another)
    found, sought = toe_middle(whole, 1) - head, fused.centroid - head
    cosine = found @ sought / np.linalg.norm(found) / np.linalg.norm(sought)
    assert np.degrees(np.arccos(cosine)) < 3


def test_a_whole_foot_comes_back_as_it_is(foot, another):
    whole = complete_foot(foot, another)
    assert all(whole[name] is foot[name] for name in FOOT_BONES)


def test_only_toes_can_be_grafted(foot, another):
    lacking = foot.with_bones({name: bone for name, bone in foot.items() if name != "cuboid"})
    with pytest.raises(SimulationError, match="lacks cuboid"):
        complete_foot(lacking, another)


def test_a_donor_without_toes_is_named(foot, another):
    with pytest.raises(SimulationError, match="another: lacks distal_phalanx_1"):
        complete_foot(without_toes(foot), without_toes(another))


def test_a_real_foot_with_fused_toes_is_completed():
    library = BoneLibrary(shared_data("bones"))
    foot = library.subject("foot_staple_jia_mri_R")
    whole = complete_foot(foot, library.subject("foot_staple_tlem2_ct_R"))
    assert tuple(whole) == FOOT_BONES
    assert whole.persons == ("jia_mri", "tlem2")
    for ray in range(1, 6):
        assert gap(whole[f"proximal_phalanx_{ray}"], whole[f"metatarsal_{ray}"]) > 1
        tip, fused = (bone.vertices[:, 1].max() for bone in (whole[f"distal_phalanx_{ray}"], foot[f"toe_fused_{ray}"]))
        assert tip == pytest.approx(fused, abs=12)
    for name in SESAMOIDS:
        assert gap(whole[name], whole["metatarsal_1"]) > 0.5
        assert gap(whole[name], whole["proximal_phalanx_1"]) > 0.5
