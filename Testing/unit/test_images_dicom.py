"""Single DICOM files, written by pydicom: pixels, spacing, facts, and what is refused."""

import logging
import warnings

import numpy as np
import pydicom
import pydicom.uid as uids
import pytest
import SimpleITK as sitk
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence
from support.image_files import PATIENT, dicom_dataset, grey, write_dicom

from orthoangles.errors import ImageError
from orthoangles.images import read_image, require_radiograph, require_volume

pytestmark = pytest.mark.unit

DX = uids.DigitalXRayImageStorageForPresentation
CR = uids.ComputedRadiographyImageStorage
XRF = uids.XRayRadiofluoroscopicImageStorage
SC = uids.SecondaryCaptureImageStorage
CT = uids.CTImageStorage


def read(tmp_path, array=None, **attributes):
    return read_image(write_dicom(tmp_path / "a.dcm", grey(dtype=np.uint16) if array is None else array, **attributes))


# ---------------------------------------------------------------- pixels


@pytest.mark.parametrize(
    ("array", "bits"),
    [(grey(), 8), (grey(dtype=np.uint16), 12), (grey(dtype=np.uint16), 16), (grey(dtype=np.int16) - 900, 16)],
    ids=["8", "12", "16", "16 signed"],
)
def test_stored_values_come_back(tmp_path, array, bits):
    image = read(tmp_path, array, BitsStored=bits)
    np.testing.assert_array_equal(image.array[0], array)
    assert require_radiograph(image) is image


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_monochrome1_is_inverted_as_itk_does(tmp_path, dtype):
    bits = {np.uint8: 8, np.uint16: 12}[dtype]
    image = read(tmp_path, grey(dtype=dtype), PhotometricInterpretation="MONOCHROME1", BitsStored=bits)
    np.testing.assert_array_equal(image.array[0], 2**bits - 1 - grey(dtype=dtype).astype(int))
    itk = sitk.GetArrayFromImage(sitk.ReadImage(str(tmp_path / "a.dcm")))
    np.testing.assert_array_equal(image.array, itk)


def test_signed_monochrome1_is_inverted_within_its_range(tmp_path):
    array = grey(dtype=np.int16) - 900
    image = read(tmp_path, array, PhotometricInterpretation="MONOCHROME1", BitsStored=12)
    np.testing.assert_array_equal(image.array[0], -1 - array.astype(int))


@pytest.mark.parametrize(("slope", "intercept"), [(1, -1024), (2, 100), (0.25, -10.5), (-1, 0)])
@pytest.mark.parametrize("photometric", ["MONOCHROME1", "MONOCHROME2"])
def test_rescaling_is_that_of_itk(tmp_path, slope, intercept, photometric):
    image = read(tmp_path, RescaleSlope=slope, RescaleIntercept=intercept, PhotometricInterpretation=photometric)
    itk = sitk.GetArrayFromImage(sitk.ReadImage(str(tmp_path / "a.dcm")))
    np.testing.assert_allclose(image.array, itk)


def test_a_display_window_is_not_baked_in(tmp_path):
    image = read(tmp_path, WindowCenter=100, WindowWidth=1)
    np.testing.assert_array_equal(image.array[0], grey(dtype=np.uint16))


def test_old_overlays_in_unused_bits_are_left_out(tmp_path):
    array = (grey(dtype=np.uint16) | 0xF000).astype(np.uint16)
    np.testing.assert_array_equal(read(tmp_path, array, BitsStored=12).array[0], grey(dtype=np.uint16))


def test_colour_becomes_luminance(tmp_path):
    rgb = np.stack([grey()] * 3, axis=-1)
    image = read(tmp_path, rgb, sop_class=SC, Modality="OT")
    np.testing.assert_array_equal(image.array[0], grey())
    assert image.warnings == ()
    rgb[:30] = (200, 10, 10)
    image = read(tmp_path, rgb, sop_class=SC, Modality="OT")
    assert any("colour" in warning for warning in image.warnings)


def test_a_palette_is_applied(tmp_path):
    table = (np.arange(256)[::-1] * 257).astype(np.uint16)
    palette = {f"{c}PaletteColorLookupTableDescriptor": [256, 0, 16] for c in ("Red", "Green", "Blue")}
    palette |= {f"{c}PaletteColorLookupTableData": table.tobytes() for c in ("Red", "Green", "Blue")}
    image = read(tmp_path, grey(), PhotometricInterpretation="PALETTE COLOR", **palette)
    np.testing.assert_array_equal(image.array[0], table[grey()])


def test_a_modality_lookup_table_is_applied(tmp_path):
    lut = Dataset()
    lut.LUTDescriptor = [256, 0, 16]
    lut.LUTData = (np.arange(256, dtype=np.uint16) * 3).tobytes()
    lut["LUTData"].VR = "OW"
    lut.ModalityLUTType = "US"
    image = read(tmp_path, grey(), ModalityLUTSequence=Sequence([lut]))
    np.testing.assert_array_equal(image.array[0], grey().astype(int) * 3)


@pytest.mark.parametrize(
    "syntax", [uids.ExplicitVRLittleEndian, uids.ImplicitVRLittleEndian, uids.DeflatedExplicitVRLittleEndian]
)
def test_uncompressed_transfer_syntaxes_are_read(tmp_path, syntax):
    dataset = dicom_dataset(grey(dtype=np.uint16))
    dataset.file_meta.TransferSyntaxUID = syntax
    dataset.save_as(tmp_path / "a.dcm", enforce_file_format=True)
    np.testing.assert_array_equal(read_image(tmp_path / "a.dcm").array[0], grey(dtype=np.uint16))


def test_big_endian_is_read(tmp_path):
    dataset = dicom_dataset(grey(dtype=np.uint16))
    dataset.PixelData = grey(dtype=np.uint16).astype(">u2").tobytes()
    dataset["PixelData"].VR = "OW"
    dataset.file_meta.TransferSyntaxUID = uids.ExplicitVRBigEndian
    pydicom.dcmwrite(tmp_path / "a.dcm", dataset, enforce_file_format=True, little_endian=False, implicit_vr=False)
    np.testing.assert_array_equal(read_image(tmp_path / "a.dcm").array[0], grey(dtype=np.uint16))


def test_a_file_without_preamble_and_meta_header_is_read(tmp_path):
    dataset = dicom_dataset(grey(dtype=np.uint16))
    bare = Dataset()
    bare.update(dataset)
    bare.save_as(tmp_path / "old", implicit_vr=True, little_endian=True)
    np.testing.assert_array_equal(read_image(tmp_path / "old").array[0], grey(dtype=np.uint16))


def test_rle_is_read(tmp_path):
    dataset = dicom_dataset(grey(dtype=np.uint16))
    dataset.compress(uids.RLELossless)
    dataset.save_as(tmp_path / "a.dcm", enforce_file_format=True)
    np.testing.assert_array_equal(read_image(tmp_path / "a.dcm").array[0], grey(dtype=np.uint16))


@pytest.mark.parametrize("compressor", ["JPEG", "JPEG2000", "JPEGLS"])
@pytest.mark.parametrize("photometric", ["MONOCHROME1", "MONOCHROME2"])
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_lossless_compression_is_read(tmp_path, compressor, photometric, dtype):
    compressed = compressed_dicom(tmp_path / "packed.dcm", compressor, grey(dtype=dtype))
    dataset = pydicom.dcmread(compressed)
    assert dataset.file_meta.TransferSyntaxUID.is_compressed
    dataset.PhotometricInterpretation = photometric
    dataset.save_as(compressed)
    expected = grey(dtype=dtype).astype(int)
    if photometric == "MONOCHROME1":
        expected = 2**dataset.BitsStored - 1 - expected
    np.testing.assert_array_equal(read_image(compressed).array[0], expected)


def compressed_dicom(path, compressor: str, array: np.ndarray):
    """A lossless secondary capture written by ITK."""
    writer = sitk.ImageFileWriter()
    writer.SetFileName(str(path))
    writer.UseCompressionOn()
    writer.SetCompressor(compressor)
    writer.Execute(sitk.GetImageFromArray(array[None]))
    return path


@pytest.mark.parametrize("syntax", [uids.HTJ2KLossless, uids.MPEG4HP41])
def test_compression_that_cannot_be_decoded_says_what_to_do(tmp_path, syntax):
    dataset = dicom_dataset(grey())
    dataset.file_meta.TransferSyntaxUID = syntax
    dataset.PixelData = pydicom.encaps.encapsulate([b"\xff\x4f\xff\x51" + bytes(200) + b"\xff\xd9"])
    dataset["PixelData"].is_undefined_length = True
    dataset.save_as(tmp_path / "a.dcm", enforce_file_format=True)
    with pytest.raises(ImageError, match=r"a\.dcm.*uncompressed") as error:
        read_image(tmp_path / "a.dcm")
    assert syntax.name in str(error.value)


# ---------------------------------------------------------------- spacing

BOTH = {"ImagerPixelSpacing": [0.2, 0.1], "PixelSpacing": [0.4, 0.3]}


@pytest.mark.parametrize(
    ("sop_class", "modality", "source"),
    [
        (DX, "DX", "ImagerPixelSpacing"),
        (CR, "CR", "ImagerPixelSpacing"),
        (XRF, "RF", "ImagerPixelSpacing"),
        (SC, "OT", "PixelSpacing"),
        (SC, "DX", "PixelSpacing"),
        (CT, "CT", "PixelSpacing"),
    ],
)
def test_the_spacing_is_the_one_that_slicer_takes(tmp_path, sop_class, modality, source):
    image = read(tmp_path, sop_class=sop_class, Modality=modality, **BOTH)
    assert image.spacing_source == source
    row, column = BOTH[source]
    np.testing.assert_allclose(image.spacing[:2], (column, row))
    itk = sitk.ReadImage(str(tmp_path / "a.dcm"))
    np.testing.assert_allclose(image.spacing[:2], itk.GetSpacing()[:2])
    assert any("ImagerPixelSpacing" in warning and "PixelSpacing" in warning for warning in image.warnings)


def test_equal_spacings_give_no_warning(tmp_path):
    image = read(tmp_path, ImagerPixelSpacing=[0.143, 0.143], PixelSpacing=[0.143, 0.143])
    assert image.warnings == ()
    assert image.has_spacing


@pytest.mark.parametrize("keyword", ["PixelSpacing", "NominalScannedPixelSpacing"])
def test_the_other_spacing_serves_with_a_warning_where_the_detectors_is_missing(tmp_path, keyword):
    image = read(tmp_path, **{keyword: [0.2, 0.2]})
    assert image.spacing_source == keyword
    assert image.spacing[0] == 0.2
    assert any(keyword in warning for warning in image.warnings)


def test_no_spacing_is_said(tmp_path):
    image = read(tmp_path)
    assert image.spacing_source is None
    assert image.spacing.tolist() == [1, 1, 1]


@pytest.mark.parametrize("value", [[0, 0], [-0.1, 0.1], [0.1], [0.1, 0.1, 0.1], [1e9, 1e9], []])
def test_an_impossible_spacing_is_none(tmp_path, value):
    assert read(tmp_path, ImagerPixelSpacing=value).spacing_source is None


def test_a_spacing_of_letters_is_none(tmp_path):
    path = write_dicom(tmp_path / "a.dcm", grey(), ImagerPixelSpacing=[0.25, 0.25])
    path.write_bytes(path.read_bytes().replace(b"0.25\\0.25", b"HANS\\0.25"))
    image = read_image(path)
    assert image.spacing_source is None
    assert "HANS" not in " ".join(image.warnings)


def test_unequal_sides_of_pixels_are_kept(tmp_path):
    image = read(tmp_path, ImagerPixelSpacing=[0.3, 0.1])
    np.testing.assert_allclose(image.physical_points([[10, 10, 0]]), [[1, 3, 0]])
    image = read(tmp_path, PixelAspectRatio=[3, 2])
    assert not image.has_spacing
    np.testing.assert_allclose(image.spacing, (1, 1.5, 1))


def test_magnification_is_told_and_not_applied(tmp_path):
    image = read(tmp_path, ImagerPixelSpacing=[0.2, 0.2], EstimatedRadiographicMagnificationFactor=1.25)
    assert image.magnification == 1.25
    assert image.spacing[0] == 0.2
    image = read(tmp_path, DistanceSourceToDetector=1800, DistanceSourceToPatient=1500)
    assert image.magnification == pytest.approx(1.2)
    assert read(tmp_path, EstimatedRadiographicMagnificationFactor=0).magnification is None


def test_magnified_lengths_are_warned_of(tmp_path):
    image = read(tmp_path, ImagerPixelSpacing=[0.2, 0.2], EstimatedRadiographicMagnificationFactor=1.25)
    assert any("1.25" in warning for warning in image.warnings)
    image = read(tmp_path, ImagerPixelSpacing=[0.2, 0.2], EstimatedRadiographicMagnificationFactor=1.0)
    assert image.warnings == ()


def test_a_radiograph_lies_at_the_origin(tmp_path):
    image = read(tmp_path, ImagerPixelSpacing=[0.2, 0.1])
    np.testing.assert_array_equal(image.direction, np.eye(3))
    np.testing.assert_array_equal(image.origin, np.zeros(3))


def test_a_single_ct_slice_lies_where_it_says(tmp_path):
    place = {"ImagePositionPatient": [1, 2, 3], "ImageOrientationPatient": [0, 1, 0, 0, 0, -1], "SliceThickness": 2}
    image = read(tmp_path, sop_class=CT, Modality="CT", PixelSpacing=[0.5, 0.4], **place)
    np.testing.assert_allclose(image.physical_points([[10, 20, 0]]), [[1, 6, -7]])
    with pytest.raises(ImageError, match="CT"):
        require_radiograph(image)


# ---------------------------------------------------------------- facts


@pytest.mark.parametrize(
    ("attributes", "expected"),
    [
        ({"ImageLaterality": "L", "Laterality": "R"}, "L"),
        ({"Laterality": "R"}, "R"),
        ({"ImageLaterality": "B"}, "B"),
        ({"ImageLaterality": "U"}, None),
        ({"Laterality": ""}, None),
        ({}, None),
    ],
)
def test_the_side_is_the_images_own(tmp_path, attributes, expected):
    assert read(tmp_path, **attributes).laterality == expected


@pytest.mark.parametrize(
    ("text", "years"), [("045Y", 45), ("018M", 1.5), ("010D", 10 / 365.25), ("", None), ("old", None)]
)
def test_age_is_in_years(tmp_path, text, years):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        age = read(tmp_path, PatientAge=text).patient_age
    assert age == (years if years is None else pytest.approx(years))


def test_view_and_modality_are_told(tmp_path):
    image = read(tmp_path, ViewPosition="AP", Modality="CR", sop_class=CR)
    assert (image.view, image.modality, image.name) == ("AP", "CR", "a.dcm")


def test_raw_detector_data_is_warned_of(tmp_path):
    assert any(
        "FOR PROCESSING" in warning for warning in read(tmp_path, PresentationIntentType="FOR PROCESSING").warnings
    )


# ---------------------------------------------------------------- refused


def test_several_frames_are_refused(tmp_path):
    path = tmp_path / "film.dcm"
    dataset = dicom_dataset(grey())
    dataset.NumberOfFrames = 3
    dataset.PixelData = grey().tobytes() * 3
    dataset.save_as(path, enforce_file_format=True)
    with pytest.raises(ImageError, match=r"film\.dcm.*3 frames"):
        read_image(path)


@pytest.mark.parametrize(
    ("sop_class", "modality", "what"),
    [
        (uids.EncapsulatedPDFStorage, "DOC", "PDF"),
        (uids.RTStructureSetStorage, "RTSTRUCT", "RT structure set"),
        (uids.BasicTextSRStorage, "SR", "SR"),
        (uids.GrayscaleSoftcopyPresentationStateStorage, "PR", "PR"),
        (uids.MediaStorageDirectoryStorage, None, "DICOMDIR"),
    ],
)
def test_objects_without_pixels_are_called_by_their_kind(tmp_path, sop_class, modality, what):
    dataset = dicom_dataset(grey(), sop_class=sop_class, Modality=modality)
    for keyword in ("PixelData", "Rows", "Columns"):
        delattr(dataset, keyword)
    dataset.save_as(tmp_path / "a.dcm", enforce_file_format=True)
    with pytest.raises(ImageError, match=rf"a\.dcm.*{what}"):
        read_image(tmp_path / "a.dcm")


@pytest.mark.parametrize(
    ("sop_class", "modality"), [(uids.UltrasoundImageStorage, "US"), (uids.MRImageStorage, "MR"), (CT, "CT")]
)
def test_other_modalities_are_read_but_are_no_radiographs(tmp_path, sop_class, modality):
    image = read(tmp_path, sop_class=sop_class, Modality=modality)
    with pytest.raises(ImageError, match=modality):
        require_radiograph(image)
    with pytest.raises(ImageError):
        require_volume(image)


@pytest.mark.parametrize(
    "attributes",
    [
        {"Rows": 5000},
        {"Rows": 0},
        {"BitsAllocated": 7},
        {"SamplesPerPixel": 2},
        {"PhotometricInterpretation": "NONSENSE"},
        {"NumberOfFrames": 7},
        {"Rows": 65535, "Columns": 65535},
    ],
)
def test_a_header_that_does_not_fit_its_pixels_is_refused(tmp_path, attributes):
    dataset = dicom_dataset(grey())
    for keyword, value in attributes.items():
        setattr(dataset, keyword, value)
    dataset.save_as(tmp_path / "a.dcm", enforce_file_format=True)
    with pytest.raises(ImageError, match=r"a\.dcm"):
        read_image(tmp_path / "a.dcm")


def test_constant_and_tiny_ones_are_refused(tmp_path):
    with pytest.raises(ImageError, match="same value"):
        read(tmp_path, np.full((90, 60), 5, np.uint8))
    with pytest.raises(ImageError, match="8 x 8"):
        read(tmp_path, grey(8, 8))


# ---------------------------------------------------------------- the patient stays in the file


@pytest.fixture
def everything_said(tmp_path, capfd, caplog):
    """What reading a file says anywhere: result or error, warnings, log, stdout and stderr."""

    def read_and_listen(path) -> str:
        caplog.clear()
        with warnings.catch_warnings(record=True) as caught, caplog.at_level(logging.DEBUG):
            warnings.simplefilter("always")
            try:
                image = read_image(path)
                said = [repr({k: v for k, v in vars(image).items() if k != "array"})]
            except ImageError as error:
                said = [str(error), repr(error.__cause__), repr(error.__suppress_context__ or error.__context__)]
        out, err = capfd.readouterr()
        assert out == err == ""
        return "\n".join([*said, *(str(w.message) for w in caught), caplog.text])

    return read_and_listen


def planted(**attributes) -> Dataset:
    """A data set with the patient's name in every text field, those of the reader's interest included."""
    dataset = dicom_dataset(grey(), **attributes)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for keyword in ("ViewPosition", "ImageLaterality", "PatientAge", "PresentationIntentType", "KVP", "StudyDate"):
            element = pydicom.DataElement(pydicom.datadict.tag_for_keyword(keyword), "LO", PATIENT)
            dataset.add(element)
    return dataset


@pytest.mark.parametrize(
    "change",
    [
        {},
        {"Modality": PATIENT},
        {"PhotometricInterpretation": PATIENT},
        {"SOPClassUID": PATIENT},
        {"Rows": 9000},
        {"NumberOfFrames": PATIENT},
        {"RescaleSlope": PATIENT},
        {"ImagerPixelSpacing": [PATIENT, PATIENT]},
        {"PixelData": None},
    ],
    ids=str,
)
def test_a_patient_never_leaves_the_file(tmp_path, everything_said, change):
    dataset = planted()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for keyword, value in change.items():
            tag = pydicom.datadict.tag_for_keyword(keyword)
            if value is None:
                del dataset[tag]
            elif isinstance(value, int):
                setattr(dataset, keyword, value)
            else:
                dataset.add(pydicom.DataElement(tag, "LO", value))
        dataset.save_as(tmp_path / "a.dcm", enforce_file_format=True)
    said = everything_said(tmp_path / "a.dcm")
    assert PATIENT not in said.upper()
    assert "1948" not in said
    assert str(tmp_path) not in said


def test_a_patient_never_leaves_a_damaged_file(tmp_path, everything_said):
    planted().save_as(tmp_path / "a.dcm", enforce_file_format=True)
    data = (tmp_path / "a.dcm").read_bytes()
    rng = np.random.default_rng(0)
    for _ in range(60):
        damaged = bytearray(data)
        for at in rng.integers(132, 1200, 6):
            damaged[at] = rng.integers(256)
        (tmp_path / "a.dcm").write_bytes(damaged)
        said = everything_said(tmp_path / "a.dcm")
        assert PATIENT not in said.upper()
        assert str(tmp_path) not in said
