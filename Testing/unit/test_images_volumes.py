"""NRRD, NIfTI and MetaImage, written by SimpleITK and nibabel."""

import gzip

import nibabel
import numpy as np
import pytest
import SimpleITK as sitk
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation
from support.image_files import grey

from orthoangles.errors import ImageError
from orthoangles.images import read_image

pytestmark = pytest.mark.unit

SUFFIXES = ["nrrd", "nhdr", "nii", "nii.gz", "mha", "mhd"]
DIRECTION = Rotation.from_euler("xyz", [10, -20, 30], degrees=True).as_matrix()


def stack(dtype=np.int16, slices: int = 5) -> np.ndarray:
    return np.stack([grey(seed=k) for k in range(slices)]).astype(dtype)


def written(path, array: np.ndarray, *, vector: bool = False, compress: bool = False, place: bool = True):
    image = sitk.GetImageFromArray(array, isVector=vector)
    if place and image.GetDimension() == 3:
        image.SetSpacing((0.4, 0.5, 1.25))
        image.SetOrigin((-80, 12.5, 33))
        image.SetDirection(DIRECTION.ravel().tolist())
    sitk.WriteImage(image, str(path), compress)
    return path


@pytest.mark.parametrize("suffix", SUFFIXES)
@pytest.mark.parametrize("compress", [False, True])
def test_a_volume_comes_back_with_its_place(tmp_path, suffix, compress):
    image = read_image(written(tmp_path / f"a.{suffix}", stack(), compress=compress))
    np.testing.assert_array_equal(image.array, stack())
    assert image.array.dtype == np.int16
    np.testing.assert_allclose(image.spacing, (0.4, 0.5, 1.25), rtol=1e-6)
    np.testing.assert_allclose(image.origin, (-80, 12.5, 33), rtol=1e-6)
    np.testing.assert_allclose(image.direction, DIRECTION, atol=1e-6)
    assert image.spacing_source in ("NRRD header", "NIfTI header", "MetaImage header")
    assert not image.is_radiograph


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.int32, np.float32, np.float64, np.int64, np.uint64])
@pytest.mark.parametrize("suffix", ["nrrd", "mha"])
def test_every_number_type_keeps_its_values(tmp_path, dtype, suffix):
    image = read_image(written(tmp_path / f"a.{suffix}", stack(dtype)))
    np.testing.assert_array_equal(image.array, stack(dtype))
    assert image.array.dtype.kind in "iu" or image.array.dtype == np.float32


@pytest.mark.parametrize("suffix", SUFFIXES)
@pytest.mark.parametrize("array", [grey(), grey()[None]], ids=["two axes", "one slice"])
def test_flat_ones_are_radiographs(tmp_path, suffix, array):
    image = read_image(written(tmp_path / f"a.{suffix}", array, place=False))
    assert image.is_radiograph
    np.testing.assert_array_equal(image.array[0], grey())


@pytest.mark.parametrize("affine", [np.diag([1, 1, 1, 1]), np.diag([-0.5, 0.5, 1, 1]), np.diag([0.5, -0.5, 1, 1])])
@pytest.mark.parametrize("thin", [0, 1, 2])
def test_a_flat_nifti_is_turned_to_how_it_is_seen(tmp_path, affine, thin):
    """Stored along any axes in any order: pixels lie where the affine says, columns run to the reader's right."""
    axes = {0: (2, 0, 1), 1: (0, 2, 1), 2: (0, 1, 2)}[thin]
    data = np.transpose(grey().T[:, :, None], axes)
    matrix = np.eye(4)
    matrix[:3, :3] = np.diag(np.diag(affine)[:3][list(axes)])
    nibabel.save(nibabel.Nifti1Image(data, matrix), tmp_path / "a.nii")
    image = read_image(tmp_path / "a.nii")
    assert image.is_radiograph
    rng = np.random.default_rng(0)
    for index in rng.integers(0, data.shape, (20, 3)):
        lps = (matrix @ [*index, 1])[:3] * [-1, -1, 1]
        i, j, k = np.rint(image.index_points(lps[None])[0]).astype(int)
        assert image.array[k, j, i] == data[tuple(index)]
    right = {0: (0, 1, 0), 1: (1, 0, 0), 2: (1, 0, 0)}[thin]
    down = {0: (0, 0, -1), 1: (0, 0, -1), 2: (0, 1, 0)}[thin]
    assert image.direction[:, 0] == pytest.approx(right)
    assert image.direction[:, 1] == pytest.approx(down)
    assert np.linalg.det(image.direction) == pytest.approx(1)


@settings(max_examples=40, deadline=None)
@given(st.floats(-180, 180), st.floats(-180, 180), st.floats(-180, 180), st.sampled_from([0, 1, 2]))
def test_a_flat_image_lying_anyhow_keeps_each_pixel_in_its_place(tmp_path_factory, a, b, c, thin):
    path = tmp_path_factory.mktemp("flat") / "a.nrrd"
    data = np.expand_dims(grey(), 2 - thin)
    stored = sitk.GetImageFromArray(data)
    stored.SetSpacing((0.4, 0.5, 1.25))
    stored.SetDirection(Rotation.from_euler("xyz", [a, b, c], degrees=True).as_matrix().ravel().tolist())
    sitk.WriteImage(stored, str(path))
    stored = sitk.ReadImage(str(path))
    image = read_image(path)
    assert image.is_radiograph
    assert np.linalg.det(image.direction) == pytest.approx(1)
    for index in np.random.default_rng(0).integers(0, stored.GetSize(), (10, 3)).tolist():
        lps = stored.TransformIndexToPhysicalPoint(index)
        i, j, k = np.rint(image.index_points([lps])[0]).astype(int)
        np.testing.assert_allclose(image.physical_points([[i, j, k]])[0], lps, atol=1e-3)
        assert image.array[k, j, i] == stored[index]


def test_a_nifti_says_ras_where_the_image_says_lps(tmp_path):
    affine = np.diag([0.5, 0.6, 2.0, 1.0])
    affine[:3, 3] = (10, 20, 30)
    nibabel.save(nibabel.Nifti1Image(stack().transpose(2, 1, 0), affine), tmp_path / "a.nii.gz")
    image = read_image(tmp_path / "a.nii.gz")
    np.testing.assert_allclose(image.physical_points([[2, 3, 1]]), [[-11, -21.8, 32]], atol=1e-5)


def test_a_header_without_spacing_says_so(tmp_path):
    body = stack(np.uint8).tobytes()
    (tmp_path / "a.nrrd").write_bytes(b"NRRD0004\ntype: uint8\ndimension: 3\nsizes: 60 90 5\nencoding: raw\n\n" + body)
    (tmp_path / "a.mha").write_bytes(
        b"ObjectType = Image\nNDims = 3\nDimSize = 60 90 5\nElementType = MET_UCHAR\nElementDataFile = LOCAL\n" + body
    )
    for name in ("a.nrrd", "a.mha"):
        image = read_image(tmp_path / name)
        assert not image.has_spacing
        assert image.spacing.tolist() == [1, 1, 1]
        assert any("voxel size" in warning for warning in image.warnings)
        np.testing.assert_array_equal(image.array, stack(np.uint8))


# ---------------------------------------------------------------- refused


@pytest.mark.parametrize("suffix", ["nrrd", "nii", "nii.gz", "mha"])
def test_four_axes_are_refused_unless_the_fourth_is_empty(tmp_path, suffix):
    with pytest.raises(ImageError, match=r"film.*4"):
        read_image(written(tmp_path / f"film.{suffix}", np.stack([stack(), stack()])))


def test_a_fourth_axis_of_one_is_no_film(tmp_path):
    nibabel.save(nibabel.Nifti1Image(stack().transpose(2, 1, 0)[..., None], np.eye(4)), tmp_path / "a.nii")
    np.testing.assert_array_equal(read_image(tmp_path / "a.nii").array, stack())


@pytest.mark.parametrize("suffix", ["nrrd", "nii", "mha"])
@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_values_that_are_no_numbers_are_refused(tmp_path, suffix, value):
    array = stack(np.float32)
    array[2, 5, 6] = value
    with pytest.raises(ImageError, match=r"a\..*finite"):
        read_image(written(tmp_path / f"a.{suffix}", array))


def test_numbers_beyond_float32_are_refused(tmp_path):
    array = stack(np.float64)
    array[0, 0, 0] = 1e300
    with pytest.raises(ImageError, match="finite"):
        read_image(written(tmp_path / "a.nrrd", array))


@pytest.mark.parametrize("channels", [2, 3, 5])
def test_vector_volumes_are_refused(tmp_path, channels):
    array = np.stack([stack(np.float32)] * channels, axis=-1)
    with pytest.raises(ImageError, match="values"):
        read_image(written(tmp_path / "a.nrrd", array, vector=True))


def test_complex_numbers_are_refused(tmp_path):
    nibabel.save(nibabel.Nifti1Image(stack().transpose(2, 1, 0).astype(np.complex64), np.eye(4)), tmp_path / "a.nii")
    with pytest.raises(ImageError, match="complex"):
        read_image(tmp_path / "a.nii")


def test_constant_and_tiny_volumes_are_refused(tmp_path):
    with pytest.raises(ImageError, match="same value"):
        read_image(written(tmp_path / "a.nrrd", np.full((5, 60, 60), -1000, np.int16)))
    with pytest.raises(ImageError, match="too few"):
        read_image(written(tmp_path / "b.nrrd", stack()[:, :8, :8]))


@pytest.mark.parametrize(("header", "body"), [("a.mhd", "a.raw"), ("a.nhdr", "a.raw")])
def test_a_header_whose_data_file_is_missing_names_it(tmp_path, header, body):
    path = written(tmp_path / header, stack())
    (tmp_path / body).unlink()
    with pytest.raises(ImageError, match=rf"{header}.*{body}"):
        read_image(path)


@pytest.mark.parametrize("elsewhere", ["/dev/zero", "../other.raw", "LIST", "slice%03d.raw 1 5 1"])
def test_a_header_that_points_elsewhere_is_refused(tmp_path, elsewhere):
    folder = tmp_path / "inner"
    folder.mkdir()
    (tmp_path / "other.raw").write_bytes(stack().tobytes())
    mhd = written(folder / "a.mhd", stack())
    mhd.write_text(mhd.read_text().replace("a.raw", elsewhere))
    nhdr = written(folder / "b.nhdr", stack())
    nhdr.write_text(nhdr.read_text().replace("b.raw", elsewhere))
    for path in (mhd, nhdr):
        with pytest.raises(ImageError, match=path.name):
            read_image(path)


def test_a_header_that_promises_too_much_is_refused_before_memory_is_asked_for(tmp_path):
    path = written(tmp_path / "a.nrrd", stack())
    data = path.read_bytes()
    assert b"sizes: 60 90 5" in data
    path.write_bytes(data.replace(b"sizes: 60 90 5", b"sizes: 60000 90000 50"))
    with pytest.raises(ImageError, match=r"a\.nrrd"):
        read_image(path)


def test_a_nifti_under_another_name_says_how_to_call_it(tmp_path):
    written(tmp_path / "a.nii", stack()).rename(tmp_path / "a.img.data")
    with pytest.raises(ImageError, match=r"rename"):
        read_image(tmp_path / "a.img.data")


def test_a_nifti_in_two_gzip_members_is_read(tmp_path):
    data = written(tmp_path / "a.nii", stack()).read_bytes()
    (tmp_path / "b.nii.gz").write_bytes(gzip.compress(data[:9000]) + gzip.compress(data[9000:]))
    np.testing.assert_array_equal(read_image(tmp_path / "b.nii.gz").array, stack())


def test_slanting_axes_are_refused(tmp_path):
    path = written(tmp_path / "a.nrrd", stack(), place=False)
    data = path.read_bytes()
    assert b"(1,0,0) (0,1,0) (0,0,1)" in data
    path.write_bytes(data.replace(b"(1,0,0) (0,1,0) (0,0,1)", b"(1,0,0) (0,1,0) (0,0.3,1)"))
    with pytest.raises(ImageError, match=r"right angles"):
        read_image(path)


def test_a_unit_other_than_millimetres_is_not_taken_for_millimetres(tmp_path):
    path = written(tmp_path / "a.nrrd", stack())
    path.write_bytes(path.read_bytes().replace(b"endian:", b'space units: "um" "um" "um"\nendian:'))
    image = read_image(path)
    assert not image.has_spacing
