"""Images as volume nodes and back."""

import numpy as np
import pytest
from support.spines import spine_image, spine_points

from orthoangles.errors import ImageError
from orthoangles.images import Image
from orthoangles.protocols import load_protocol
from orthoangles.scene import add_volume, image_from_volume

pytestmark = pytest.mark.scene


@pytest.mark.parametrize("dtype", [np.uint8, np.int16, np.uint16, np.int32, np.float32])
def test_an_image_survives_the_scene(a_scene, dtype):
    rng = np.random.default_rng(3)
    turn = np.array([[0.0, 0.0, -1.0], [1.0, 0.0, 0.0], [0.0, -1.0, 0.0]])
    image = Image(
        rng.integers(0, 100, (5, 7, 6)).astype(dtype),
        spacing=(0.4, 0.5, 1.25),
        origin=(-12.5, 30.0, 4.0),
        direction=turn,
        spacing_source="PixelSpacing",
        name="wbct.nrrd",
        laterality="L",
        modality="CT",
        patient_age=41.5,
    )
    back = image_from_volume(add_volume(a_scene, image))
    assert back.array.dtype == dtype
    np.testing.assert_array_equal(back.array, image.array)
    np.testing.assert_allclose(back.affine, image.affine)
    for field in ("spacing_source", "name", "laterality", "view", "modality", "patient_age", "magnification"):
        assert getattr(back, field) == getattr(image, field), field
    assert back.sha256 == image.sha256


def test_a_voxel_lies_where_the_image_says(a_scene):
    image = spine_image()
    node = add_volume(a_scene, image)
    import vtk

    matrix = vtk.vtkMatrix4x4()
    node.GetIJKToRASMatrix(matrix)
    right, anterior, superior, _ = matrix.MultiplyPoint((10, 20, 0, 1))
    np.testing.assert_allclose((-right, -anterior, superior), image.physical_points([[10, 20, 0]])[0])


def test_an_unknown_spacing_stays_unknown(a_scene):
    back = image_from_volume(add_volume(a_scene, spine_image(spacing=(1, 1, 1), spacing_source=None)))
    assert not back.has_spacing


def test_a_volume_that_slicer_loaded_itself_is_trusted_only_with_a_spacing(a_scene):
    node = add_volume(a_scene, spine_image())
    for attribute in list(node.GetAttributeNames()):
        node.RemoveAttribute(attribute)
    assert image_from_volume(node).has_spacing
    node.SetSpacing(1, 1, 1)
    assert not image_from_volume(node).has_spacing


def test_bone_is_bright_but_not_burnt_out(a_scene):
    image = spine_image(spine_points())
    display = add_volume(a_scene, image).GetDisplayNode()
    bone = image.array[0][image.array[0] > 120]
    assert display.GetWindowLevelMin() < np.median(image.array)
    assert np.percentile(bone, 95) < display.GetWindowLevelMax()


def test_the_wrong_dimension_is_refused(a_scene):
    node = add_volume(a_scene, Image(np.zeros((4, 8, 8), np.uint8), name="wbct.nrrd"))
    with pytest.raises(ImageError, match="one flat radiograph"):
        image_from_volume(node, load_protocol("spine-ap-cobb"))
