"""DICOM folders: one radiograph, one CT series, and everything that is refused rather than guessed at."""

import numpy as np
import pydicom.uid as uids
import pytest
import SimpleITK as sitk
from support.image_files import PATIENT, dicom_dataset, grey, write_ct, write_dicom

from orthoangles.errors import ImageError
from orthoangles.images import read_image, require_radiograph, require_volume

pytestmark = pytest.mark.unit


def hounsfield(slices: int = 6) -> np.ndarray:
    return np.stack([grey(40, 50, np.int16, seed=k) * 1 - 900 + 10 * k for k in range(slices)]).astype(np.int16)


def test_a_series_is_stacked_by_place_and_not_by_name(tmp_path):
    image = require_volume(read_image(write_ct(tmp_path / "ct", hounsfield())))
    np.testing.assert_array_equal(image.array, hounsfield())
    np.testing.assert_allclose(image.spacing, (0.5, 0.8, 1.5))
    np.testing.assert_allclose(image.origin, (-10, -20, 5))
    assert image.spacing_source == "PixelSpacing"
    assert (image.name, image.modality) == ("ct", "CT")
    assert image.warnings == ()


@pytest.mark.parametrize(
    ("cosines", "step"),
    [([1, 0, 0, 0, 1, 0], (0, 0, 1.5)), ([0, 1, 0, 0, 0, -1], (-1.5, 0, 0)), ([0, 0.6, 0.8, -1, 0, 0], (0, -1.2, 0.9))],
)
@pytest.mark.parametrize("backwards", [False, True])
def test_the_place_is_the_one_that_itk_finds(tmp_path, cosines, step, backwards):
    folder = tmp_path / "ct"
    folder.mkdir()
    series = {"SeriesInstanceUID": uids.generate_uid(), "PixelSpacing": [0.8, 0.5], "Modality": "CT"}
    for k, plane in enumerate(hounsfield()):
        place = np.array([3.0, -4.0, 5.0]) + np.array(step) * (-k if backwards else k)
        write_dicom(
            folder / f"{k}.dcm",
            (plane + 1024).astype(np.uint16),
            sop_class=uids.CTImageStorage,
            ImageOrientationPatient=cosines,
            ImagePositionPatient=place.tolist(),
            **series,
        )
    image = read_image(folder)
    reader = sitk.ImageSeriesReader()
    reader.SetFileNames(reader.GetGDCMSeriesFileNames(str(folder)))
    itk = reader.Execute()
    assert image.size == itk.GetSize()
    rng = np.random.default_rng(0)
    for i, j, k in rng.integers(0, image.size, (20, 3)).tolist():
        lps = image.physical_points([[i, j, k]])[0]
        x, y, z = itk.TransformPhysicalPointToIndex(lps.tolist())
        np.testing.assert_allclose(itk.TransformIndexToPhysicalPoint((x, y, z)), lps, atol=1e-5)
        assert itk[x, y, z] == image.array[k, j, i]
    assert np.linalg.det(image.direction) == pytest.approx(1)


def test_one_radiograph_in_a_folder_is_that_radiograph(tmp_path):
    write_dicom(tmp_path / "IM0001", grey(), ImagerPixelSpacing=[0.2, 0.2])
    (tmp_path / "report.txt").write_text("no DICOM")
    state = dicom_dataset(grey(), sop_class=uids.GrayscaleSoftcopyPresentationStateStorage, Modality="PR")
    for keyword in ("PixelData", "Rows", "Columns"):
        delattr(state, keyword)
    state.save_as(tmp_path / "PR0001", enforce_file_format=True)
    image = require_radiograph(read_image(tmp_path))
    np.testing.assert_array_equal(image.array[0], grey())


def test_a_radiograph_in_a_folder_of_folders_is_found(tmp_path):
    (tmp_path / "ST0" / "SE0").mkdir(parents=True)
    write_dicom(tmp_path / "ST0" / "SE0" / "IM0", grey())
    assert read_image(tmp_path).size == (60, 90, 1)


# ---------------------------------------------------------------- refused


def refused(folder, *words: str) -> str:
    with pytest.raises(ImageError) as error:
        read_image(folder)
    text = str(error.value)
    assert text.startswith(folder.name)
    for word in words:
        assert word in text
    assert PATIENT not in text.upper()
    assert str(folder.parent) not in text
    return text


@pytest.mark.parametrize("one_series", [True, False])
def test_several_radiographs_are_refused(tmp_path, one_series):
    uid = uids.generate_uid()
    for n in range(3):
        write_dicom(tmp_path / f"{n}.dcm", grey(seed=n), SeriesInstanceUID=uid if one_series else uids.generate_uid())
    refused(tmp_path, "3 images", "give the file")


@pytest.mark.parametrize("skip", [(1,), (2, 3)])
def test_a_missing_slice_is_refused(tmp_path, skip):
    refused(write_ct(tmp_path / "ct", hounsfield(8), skip=skip), "mm apart", "missing")


def test_two_series_are_refused(tmp_path):
    write_ct(tmp_path / "ct", hounsfield())
    write_ct(tmp_path / "ct" / "more", hounsfield(4))
    refused(tmp_path / "ct", "2 series", "folder of its own")


def test_a_radiograph_among_slices_is_refused(tmp_path):
    folder = write_ct(tmp_path / "ct", hounsfield())
    write_dicom(folder / "scout.dcm", grey())
    refused(folder)


def test_slices_twice_at_one_place_are_refused(tmp_path):
    folder = write_ct(tmp_path / "ct", hounsfield())
    uid = read_series(folder)
    write_ct(tmp_path / "ct" / "again", hounsfield(), SeriesInstanceUID=uid)
    refused(folder, "where another one does")


def read_series(folder) -> str:
    import pydicom

    return pydicom.dcmread(next(folder.glob("*.dcm")), stop_before_pixels=True).SeriesInstanceUID


def test_slices_of_other_size_spacing_or_tilt_are_refused(tmp_path):
    for name, change, array in (
        ("size", {}, np.zeros((30, 50), np.uint16)),
        ("spacing", {"PixelSpacing": [0.8, 0.6]}, np.zeros((40, 50), np.uint16)),
        ("tilt", {"ImageOrientationPatient": [1, 0, 0, 0, 0.98, 0.199]}, np.zeros((40, 50), np.uint16)),
        ("place", {"ImagePositionPatient": None}, np.zeros((40, 50), np.uint16)),
    ):
        folder = write_ct(tmp_path / name, hounsfield(), skip=(2,))
        common = {
            "SeriesInstanceUID": read_series(folder),
            "PixelSpacing": [0.8, 0.5],
            "ImageOrientationPatient": [1, 0, 0, 0, 1, 0],
            "ImagePositionPatient": [-10, -20, 8.0],
        }
        write_dicom(folder / "odd.dcm", array, sop_class=uids.CTImageStorage, **{**common, "Modality": "CT", **change})
        refused(folder, "odd.dcm")


def test_a_tilted_gantry_is_refused(tmp_path):
    folder = tmp_path / "ct"
    folder.mkdir()
    uid = uids.generate_uid()
    for k, plane in enumerate(hounsfield(20)):
        write_dicom(
            folder / f"{k}.dcm",
            (plane + 1024).astype(np.uint16),
            sop_class=uids.CTImageStorage,
            Modality="CT",
            SeriesInstanceUID=uid,
            PixelSpacing=[1, 1],
            ImageOrientationPatient=[1, 0, 0, 0, 1, 0],
            ImagePositionPatient=[0, 0.2 * k, 1.0 * k],
        )
    refused(folder, "gantry")


def test_rounded_positions_are_no_gap(tmp_path):
    folder = tmp_path / "ct"
    folder.mkdir()
    uid = uids.generate_uid()
    for k, plane in enumerate(hounsfield(30)):
        write_dicom(
            folder / f"{k}.dcm",
            (plane + 1024).astype(np.uint16),
            sop_class=uids.CTImageStorage,
            Modality="CT",
            SeriesInstanceUID=uid,
            PixelSpacing=[1, 1],
            ImageOrientationPatient=[1, 0, 0, 0, 1, 0],
            ImagePositionPatient=[0, 0, round(0.625 * k, 2)],
        )
    assert read_image(folder).spacing[2] == pytest.approx(0.625, abs=1e-3)


def test_a_damaged_slice_does_not_vanish(tmp_path):
    folder = write_ct(tmp_path / "ct", hounsfield())
    last = sorted(folder.iterdir())[0]
    whole = last.read_bytes()
    for length in (0, 100, 140, 700, len(whole) - 500):
        last.write_bytes(whole[:length])
        refused(folder)


def test_a_folder_without_images_is_refused(tmp_path):
    refused(tmp_path, "no DICOM")
    (tmp_path / "a.txt").write_text("hello")
    refused(tmp_path, "no DICOM")


def test_a_ct_with_slopes_of_its_own_per_slice_keeps_its_values(tmp_path):
    folder = tmp_path / "pet"
    folder.mkdir()
    uid, planes = uids.generate_uid(), hounsfield(4)
    for k, plane in enumerate(planes):
        write_dicom(
            folder / f"{k}.dcm",
            (plane + 1024).astype(np.uint16),
            sop_class=uids.CTImageStorage,
            Modality="CT",
            SeriesInstanceUID=uid,
            PixelSpacing=[1, 1],
            ImageOrientationPatient=[1, 0, 0, 0, 1, 0],
            ImagePositionPatient=[0, 0, k],
            RescaleSlope=1 + 0.5 * k,
            RescaleIntercept=-1024,
        )
    expected = [(plane + 1024.0) * (1 + 0.5 * k) - 1024 for k, plane in enumerate(planes)]
    np.testing.assert_allclose(read_image(folder).array, expected)
