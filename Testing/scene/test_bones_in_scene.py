"""Bones rendered in the 3D view by Hounsfield units."""

import numpy as np
import pytest
from support.standing_volume import standing_volume

from orthoangles.images import Image
from orthoangles.scene import add_volume, bones_shown, load_scene, save_scene, show_bones
from orthoangles.scene.bones import forget_bones

pytestmark = pytest.mark.scene
BONES = "vtkMRMLVolumeRenderingDisplayNode"


def display_of(volume):
    return next(d for d in map(volume.GetNthDisplayNode, range(volume.GetNumberOfDisplayNodes())) if d.IsA(BONES))


def opacity_at(volume, value):
    return display_of(volume).GetVolumePropertyNode().GetVolumeProperty().GetScalarOpacity().GetValue(value)


def test_the_view_shows_bone_where_bone_is(a_foot_volume, a_four_up):
    space = a_four_up.space
    block = np.array([-80 + 22 * 4, -140 + 35 * 4, -10 + 15 * 4.0])
    space.look_from((0.2, -1.0, 0.3), block, 90)
    before = space.pixels().astype(int)
    show_bones(a_foot_volume)
    change = np.abs(space.pixels().astype(int) - before).max(axis=-1)
    rows, columns = change.shape
    assert change[rows // 2 - 10 : rows // 2 + 10, columns // 2 - 10 : columns // 2 + 10].min() > 12
    assert change[:15].max() < 5
    show_bones(a_foot_volume, False)
    np.testing.assert_array_equal(space.pixels(), before)


def test_bone_is_seen_through_and_soft_tissue_not_at_all(a_foot_volume):
    show_bones(a_foot_volume)
    for value in (-1000, -100, 40, 150):
        assert opacity_at(a_foot_volume, value) == 0
    assert 0 < opacity_at(a_foot_volume, 400) < opacity_at(a_foot_volume, 1500) < 0.5


@pytest.mark.parametrize("shift", [1000, 1024])
def test_a_scan_stored_without_negative_numbers_looks_the_same(a_scene, shift):
    scan = standing_volume()
    calibrated, stored = add_volume(a_scene, scan), add_volume(a_scene, shifted(scan, shift))
    show_bones(calibrated)
    show_bones(stored)
    for value in (0, 400, 900, 1600):
        assert opacity_at(stored, value + shift) == pytest.approx(opacity_at(calibrated, value), abs=0.01)


def shifted(scan, shift):
    pixels = (scan.array.astype(np.int32) + shift).astype(np.uint16)
    return Image(pixels, spacing=scan.spacing, origin=scan.origin, spacing_source="x", name="stored.nrrd")


def test_showing_twice_makes_one_rendering(a_foot_volume):
    scene = a_foot_volume.GetScene()
    assert not bones_shown(a_foot_volume)
    show_bones(a_foot_volume)
    show_bones(a_foot_volume, False)
    assert not bones_shown(a_foot_volume)
    show_bones(a_foot_volume)
    assert bones_shown(a_foot_volume)
    assert scene.GetNumberOfNodesByClass(BONES) == 1


def test_hiding_what_was_never_shown_makes_nothing(a_foot_volume):
    show_bones(a_foot_volume, False)
    assert a_foot_volume.GetScene().GetNumberOfNodesByClass(BONES) == 0


def test_it_is_saved_with_the_scene(a_foot_volume, tmp_path):
    show_bones(a_foot_volume)
    host = load_scene(save_scene(a_foot_volume.GetScene(), tmp_path / "bones.mrb"))
    volume = host.scene.GetFirstNodeByClass("vtkMRMLScalarVolumeNode")
    assert bones_shown(volume)
    assert opacity_at(volume, 1500) == pytest.approx(opacity_at(a_foot_volume, 1500))


def test_forgetting_leaves_no_node(a_foot_volume):
    scene = a_foot_volume.GetScene()
    before = scene.GetNumberOfNodes()
    show_bones(a_foot_volume)
    assert scene.GetNumberOfNodes() > before
    forget_bones(a_foot_volume)
    assert scene.GetNumberOfNodes() == before
    assert not bones_shown(a_foot_volume)
