"""Grids, images and what is asked of them, apart from any file format."""

import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.spatial.transform import Rotation
from support.data import shared_data
from support.image_files import grey

from orthoangles.errors import ImageError
from orthoangles.images import Image, ImageGeometry, display_range, read_image, require_radiograph, require_volume

pytestmark = pytest.mark.unit

finite = st.floats(-1e3, 1e3)


def flat(**values) -> Image:
    return Image(grey()[None], **values)


# ---------------------------------------------------------------- geometry


def test_a_point_of_an_oblique_grid_lies_where_itk_says():
    import SimpleITK as sitk

    direction = Rotation.from_euler("xyz", [20, -35, 50], degrees=True).as_matrix()
    geometry = ImageGeometry((20, 30, 40), (0.4, 0.7, 1.5), (-80, 12, 5), direction)
    other = sitk.Image(20, 30, 40, sitk.sitkUInt8)
    other.SetSpacing(geometry.spacing.tolist())
    other.SetOrigin(geometry.origin.tolist())
    other.SetDirection(geometry.direction.ravel().tolist())
    index = (3.25, 11.5, 29.0)
    expected = other.TransformContinuousIndexToPhysicalPoint(index)
    np.testing.assert_allclose(geometry.physical_points([index])[0], expected, atol=1e-9)
    np.testing.assert_allclose(geometry.affine @ [*index, 1], [*expected, 1], atol=1e-9)


@given(
    arrays(float, (5, 3), elements=finite),
    arrays(float, 3, elements=st.floats(0.05, 20)),
    arrays(float, 3, elements=finite),
)
def test_index_and_physical_points_are_inverse(points, spacing, origin):
    geometry = ImageGeometry((4, 4, 4), spacing, origin, Rotation.from_euler("x", 33, degrees=True).as_matrix())
    np.testing.assert_allclose(geometry.physical_points(geometry.index_points(points)), points, atol=1e-6)


def test_missing_points_stay_missing():
    points = flat().index_points([[np.nan] * 3, [1, 2, 0]])
    assert np.isnan(points[0]).all()
    assert points[1].tolist() == [1, 2, 0]


@pytest.mark.parametrize(
    "wrong",
    [
        {"spacing": (0, 1, 1)},
        {"spacing": (1, 1)},
        {"origin": (0, np.nan, 0)},
        {"direction": [[1, 0.1, 0], [0, 1, 0], [0, 0, 1]]},
        {"direction": np.zeros((3, 3))},
    ],
)
def test_axes_that_make_no_grid_are_refused(wrong):
    with pytest.raises(ImageError):
        ImageGeometry((4, 4, 4), **wrong)
    with pytest.raises(ImageError, match="knee"):
        flat(name="knee", **wrong)


def test_an_image_hands_on_its_geometry_without_pixels():
    image = flat(spacing=(0.5, 0.4, 1), origin=(1, 2, 3))
    geometry = image.geometry
    assert geometry.size == image.size == (60, 90, 1)
    np.testing.assert_array_equal(geometry.affine, image.affine)
    assert geometry.is_radiograph


# ---------------------------------------------------------------- image


@pytest.mark.parametrize(
    ("array", "reason"),
    [
        (np.zeros((4, 4), np.uint8), "shape"),
        (np.zeros((0, 4, 4), np.uint8), "shape"),
        (np.zeros((1, 4, 4)), "float64"),
        (np.zeros((1, 4, 4), bool), "bool"),
        (np.full((1, 4, 4), np.nan, np.float32), "finite"),
        (np.full((1, 4, 4), np.inf, np.float32), "finite"),
    ],
)
def test_pixels_that_are_not_grey_numbers_are_refused(array, reason):
    with pytest.raises(ImageError, match=reason):
        Image(array)


def test_pixels_and_axes_of_an_image_cannot_change():
    image = flat()
    with pytest.raises(ValueError, match="read-only"):
        image.array[0, 0, 0] = 1
    with pytest.raises(ValueError, match="read-only"):
        image.spacing[0] = 2


def test_the_digest_is_that_of_pixels_and_place_alone():
    image = flat()
    assert image.sha256 == flat(name="other", laterality="L", spacing_source="somewhere").sha256
    assert image.sha256 == Image(grey().astype(">u1")[None], origin=(-0.0, 0, 0)).sha256
    assert Image(grey(dtype=np.uint16).astype(">u2")[None]).sha256 == Image(grey(dtype=np.uint16)[None]).sha256
    changed = grey()
    changed[-1, -1] += 1
    others = [
        flat(spacing=(1, 2, 1)),
        flat(origin=(1, 0, 0)),
        Image(changed[None]),
        Image(grey().astype(np.int16)[None]),
    ]
    assert len({image.sha256, *(other.sha256 for other in others)}) == 5


# ---------------------------------------------------------------- what a protocol needs


@pytest.mark.parametrize("modality", [None, "DX", "CR", "RG", "OT"])
def test_a_flat_picture_is_a_radiograph(modality):
    image = flat(modality=modality)
    assert require_radiograph(image) is image


@pytest.mark.parametrize("modality", ["US", "MR", "CT", "PT", "UNKNOWN"])
def test_other_modalities_are_no_radiograph(modality):
    with pytest.raises(ImageError, match=rf"foot\.dcm.*{modality}"):
        require_radiograph(flat(modality=modality, name="foot.dcm"))


def test_volume_and_radiograph_are_told_apart():
    volume = Image(np.stack([grey()] * 3), spacing_source="NRRD header", modality="CT", name="foot.nrrd")
    assert require_volume(volume) is volume
    with pytest.raises(ImageError, match="3 slices"):
        require_radiograph(volume)
    with pytest.raises(ImageError, match="flat"):
        require_volume(flat())
    with pytest.raises(ImageError, match="MR"):
        require_volume(Image(volume.array, spacing_source="NRRD header", modality="MR"))
    with pytest.raises(ImageError, match="how large"):
        require_volume(Image(volume.array))


# ---------------------------------------------------------------- display range


def test_neither_border_nor_marker_moves_the_display_range():
    rng = np.random.default_rng(1)
    pixels = rng.normal(1000, 100, (400, 300)).clip(500, 1500).astype(np.uint16)
    plain = display_range(Image(pixels[None]))
    pixels[:150] = 0
    pixels[:, :40] = 0
    pixels[200:260, 200:260] = 65535
    low, high = display_range(Image(pixels[None]))
    assert (low, high) == pytest.approx(plain, abs=15)
    assert 700 < low < 800 < 1200 < high < 1300


@given(arrays(np.int16, (1, 6, 6)))
def test_a_display_range_is_never_empty(pixels):
    low, high = display_range(Image(pixels))
    assert low < high


# ---------------------------------------------------------------- cost and real data


def test_importing_images_loads_no_reader():
    heavy = "('SimpleITK', 'pydicom', 'scipy', 'torch')"
    code = f"import sys, orthoangles.images; print([m for m in {heavy} if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_real_spines_are_read_as_pillow_reads_them():
    from PIL import Image as Pillow

    files = sorted((shared_data("aasce") / "data" / "training").glob("*.jpg"))
    assert len(files) > 400
    for path in files[::60]:
        image = require_radiograph(read_image(path))
        assert np.abs(image.array[0].astype(int) - np.asarray(Pillow.open(path).convert("L"))).max() <= 2
        assert not image.has_spacing
        assert image.warnings == ()
        assert image.physical_points([[3, 4, 0]]).tolist() == [[3, 4, 0]]


def test_a_real_weight_bearing_ct_is_a_volume_in_place():
    image = require_volume(read_image(shared_data("wbct") / "wbct_left_ankle.nrrd"))
    assert image.size == (400, 400, 325)
    np.testing.assert_allclose(image.spacing, 0.4)
    np.testing.assert_allclose(image.origin, (-80, -121, -144.6))
    np.testing.assert_allclose(image.direction, np.eye(3), atol=1e-12)
    assert image.array.dtype == np.int16
