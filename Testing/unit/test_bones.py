"""Bones, bone sets and the loader of bone libraries, damaged ones too."""

import json
from pathlib import Path

import numpy as np
import pytest
from support.data import shared_data

from orthoangles.errors import SimulationError
from orthoangles.simulation.anatomy.bones import FOOT_BONES, Bone, BoneLibrary, BoneSet

pytestmark = pytest.mark.unit


def a_block(name: str = "talus", person: str = "someone", low=(1, 2, 3), high=(3, 5, 7)) -> Bone:
    """A box from corner ``low`` to ``high``."""
    import trimesh

    box = trimesh.creation.box(bounds=[low, high])
    return Bone(name, np.asarray(box.vertices, dtype=float), np.asarray(box.faces, dtype=np.int32), person)


def write_library(folder: Path, entries: dict[str, dict], **bones: Bone) -> Path:
    """A library whose every subject has these bones."""
    import trimesh

    for subject, entry in entries.items():
        (folder / subject).mkdir(parents=True)
        entry.setdefault("bones", {key: {} for key in bones})
        for name, bone in bones.items():
            mesh = trimesh.Trimesh(bone.vertices, bone.faces, process=False)
            (folder / subject / f"{name}.ply").write_bytes(mesh.export(file_type="ply"))
    (folder / "manifest.json").write_text(json.dumps({"folders": entries}), encoding="utf-8")
    return folder


@pytest.fixture
def a_library(tmp_path) -> Path:
    entries = {
        "foot_vsd_z013_R": {"kind": "foot", "side": "R", "licence": "free", "source_repository": "somewhere"},
        "foot_vsd_z013_L": {"kind": "foot", "side": "L"},
        "ankles/KSBL_R_02": {"kind": "ankle", "side": "R", "person": "a patient"},
    }
    return write_library(tmp_path / "bones", entries, talus=a_block())


def test_a_block_has_its_volume_centre_and_outward_normals():
    block = a_block()
    assert block.volume == pytest.approx(2 * 3 * 4)
    assert block.centroid == pytest.approx([2, 3.5, 5])
    outward = block.vertices - block.centroid
    assert (np.einsum("ij,ij->i", outward, block.vertex_normals) > 0).all()
    assert np.linalg.norm(block.vertex_normals, axis=1) == pytest.approx(np.ones(8))


def test_moving_turns_about_the_origin_first():
    quarter = np.array([[0.0, -1, 0], [1, 0, 0], [0, 0, 1]])
    moved = a_block().moved(quarter, np.array([10.0, 0, 0]))
    assert moved.centroid == pytest.approx([-3.5 + 10, 2, 5])
    assert moved.volume == pytest.approx(24)


def test_a_mirrored_bone_still_faces_outward_and_comes_back():
    block = a_block()
    mirrored = block.mirrored()
    assert mirrored.volume == pytest.approx(24)
    assert mirrored.centroid == pytest.approx([-2, 3.5, 5])
    assert np.array_equal(mirrored.mirrored().vertices, block.vertices)
    assert np.array_equal(mirrored.mirrored().faces, block.faces)


def test_a_set_names_everyone_once_even_those_blended_into_one_bone():
    bones = {"talus": a_block(person="b"), "tibia": a_block("tibia", "c+b"), "fibula": a_block("fibula", "a")}
    assert BoneSet("x", "foot", "b", "R", bones).persons == ("a", "b", "c")


def test_a_library_lists_its_subjects_by_kind(a_library):
    library = BoneLibrary(a_library)
    assert library.subjects("foot") == ("foot_vsd_z013_L", "foot_vsd_z013_R")
    assert library.subjects() == ("ankles/KSBL_R_02", "foot_vsd_z013_L", "foot_vsd_z013_R")


def test_a_left_subject_is_read_as_its_mirror_image(a_library):
    right, left = (BoneLibrary(a_library).subject(f"foot_vsd_z013_{side}") for side in "RL")
    assert (right.side, left.side) == ("R", "L")
    assert left["talus"].centroid == pytest.approx(right["talus"].centroid * (-1, 1, 1))
    assert left["talus"].volume == pytest.approx(right["talus"].volume)
    assert (right.source, right.licence, right["talus"].person) == ("somewhere", "free", "z013")


def test_the_manifest_may_name_the_person(a_library):
    assert BoneLibrary(a_library).person("ankles/KSBL_R_02") == "a patient"


@pytest.mark.parametrize(
    ("subject", "person"),
    [
        ("foot_staple_tlem2_ct_L", "tlem2"),
        ("foot_staple_tlem2_mri_R", "tlem2"),
        ("foot_vsd_z027_R", "z027"),
        ("pelvis_vsd_z027", "z027"),
        ("hindfoot_lenz_jma/NonTTA_04_R", "TTA_04"),
        ("hindfoot_lenz_jma/TTA_04_L", "TTA_04"),
    ],
)
def test_both_sides_and_both_scans_of_a_body_are_one_person(tmp_path, subject, person):
    folder = write_library(tmp_path / "bones", {subject: {"kind": "foot"}}, talus=a_block())
    assert BoneLibrary(folder).person(subject) == person


def test_an_unknown_subject_is_named_with_those_there_are(a_library):
    with pytest.raises(SimulationError, match=r"no subject 'nobody'; there are ankles/KSBL_R_02"):
        BoneLibrary(a_library).subject("nobody")


def test_a_folder_without_manifest_is_refused(tmp_path):
    with pytest.raises(SimulationError, match="no manifest"):
        BoneLibrary(tmp_path)


@pytest.mark.parametrize(
    "text", ["", "{", "[]", "{}", '{"folders": []}', '{"folders": {"a": {"bones": {}}}}', '{"folders": {"a": 3}}']
)
def test_a_damaged_manifest_is_named(tmp_path, text):
    (tmp_path / "manifest.json").write_text(text, encoding="utf-8")
    with pytest.raises(SimulationError, match=r"manifest\.json"):
        BoneLibrary(tmp_path)


def test_a_manifest_that_is_no_text_is_named(tmp_path):
    (tmp_path / "manifest.json").write_bytes(b"\xff\xfe\x00\x80")
    with pytest.raises(SimulationError, match=r"manifest\.json"):
        BoneLibrary(tmp_path)


def test_a_missing_mesh_is_named(a_library):
    (a_library / "foot_vsd_z013_R" / "talus.ply").unlink()
    with pytest.raises(SimulationError, match=r"foot_vsd_z013_R/talus\.ply: is missing"):
        BoneLibrary(a_library).subject("foot_vsd_z013_R")


@pytest.mark.parametrize("share", [0.0, 0.02, 0.5, 0.95])
def test_a_truncated_mesh_is_named(a_library, share):
    path = a_library / "foot_vsd_z013_R" / "talus.ply"
    whole = path.read_bytes()
    path.write_bytes(whole[: int(share * len(whole))])
    with pytest.raises(SimulationError, match=r"foot_vsd_z013_R/talus\.ply"):
        BoneLibrary(a_library).subject("foot_vsd_z013_R")


def test_a_mesh_with_an_undefined_vertex_is_named(tmp_path):
    block = a_block()
    broken = block.with_vertices(np.where(np.arange(8)[:, None] == 3, np.nan, block.vertices))
    folder = write_library(tmp_path / "bones", {"foot": {}}, talus=broken)
    with pytest.raises(SimulationError, match=r"talus\.ply: holds no usable surface"):
        BoneLibrary(folder).subject("foot")


def test_a_mesh_turned_inside_out_is_named(tmp_path):
    block = a_block()
    folder = write_library(tmp_path / "bones", {"foot": {}}, talus=Bone("talus", block.vertices, block.faces[:, ::-1]))
    with pytest.raises(SimulationError, match=r"talus\.ply: its faces do not face outward"):
        BoneLibrary(folder).subject("foot")


def test_every_real_foot_can_be_read_as_a_right_foot():
    library = BoneLibrary(shared_data("bones"))
    assert len(library.subjects("foot")) >= 12
    for subject in ("foot_vsd_z013_L", "foot_staple_jia_ankle_mri_L"):
        foot = library.subject(subject)
        # The fifth ray of a right foot lies to its right.
        assert foot["metatarsal_5"].centroid[0] > foot["metatarsal_1"].centroid[0] + 20
        assert foot["fibula"].centroid[0] > foot["tibia"].centroid[0]
    assert set(library.subject("foot_vsd_z013_L")) == set(FOOT_BONES)
