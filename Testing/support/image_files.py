"""Real image files for tests, written by pydicom, SimpleITK, pillow and nibabel."""

from pathlib import Path

import numpy as np
import pydicom.uid as uids
from pydicom.dataset import FileDataset, FileMetaDataset

# A name, and where DICOM has room for text, that must never come out of a reader again.
PATIENT = "GEHEIMRAT"
_TEXT_TAGS = (
    "PatientName",
    "PatientID",
    "OtherPatientNames",
    "PatientComments",
    "PatientAddress",
    "AccessionNumber",
    "StudyDescription",
    "StudyID",
    "SeriesDescription",
    "InstitutionName",
    "ReferringPhysicianName",
    "OperatorsName",
    "StationName",
    "ProtocolName",
    "Manufacturer",
    "ImageComments",
    "DerivationDescription",
    "BodyPartExamined",
    "RequestedProcedureDescription",
    "DeviceSerialNumber",
)


def grey(rows: int = 90, columns: int = 60, dtype=np.uint8, seed: int = 0) -> np.ndarray:
    """A picture (rows, columns) without any symmetry: a ramp with noise over the lower half of the dtype's range."""
    noise = np.random.default_rng(seed).integers(0, 12, (rows, columns))
    ramp = np.add.outer(np.arange(rows) * 1.0, 0.5 * np.arange(columns)) / (rows + columns) * 110 + noise
    return (ramp * (1 if np.iinfo(dtype).max < 256 else 30)).astype(dtype)


def dicom_dataset(
    array: np.ndarray, sop_class=uids.DigitalXRayImageStorageForPresentation, **attributes
) -> FileDataset:
    """A one-frame DICOM data set of grey (rows, columns) or colour (rows, columns, 3) pixels, with a patient in it."""
    meta = FileMetaDataset()
    meta.TransferSyntaxUID = uids.ExplicitVRLittleEndian
    meta.MediaStorageSOPClassUID = sop_class
    meta.MediaStorageSOPInstanceUID = uids.generate_uid()
    dataset = FileDataset("", {}, file_meta=meta, preamble=b"\0" * 128)
    dataset.SOPClassUID, dataset.SOPInstanceUID = sop_class, meta.MediaStorageSOPInstanceUID
    dataset.Modality = "DX"
    dataset.Rows, dataset.Columns = array.shape[:2]
    colour = array.ndim == 3
    dataset.SamplesPerPixel = 3 if colour else 1
    if colour:
        dataset.PlanarConfiguration = 0
    dataset.PhotometricInterpretation = "RGB" if colour else "MONOCHROME2"
    dataset.BitsAllocated = dataset.BitsStored = 8 * array.dtype.itemsize
    dataset.PixelRepresentation = int(array.dtype.kind == "i")
    dataset.PatientBirthDate = "19481224"
    for keyword in _TEXT_TAGS:
        setattr(dataset, keyword, PATIENT)
    for keyword, value in attributes.items():
        setattr(dataset, keyword, value)
    dataset.HighBit = dataset.BitsStored - 1
    dataset.PixelData = array.tobytes()
    return dataset


def write_dicom(path: Path, array: np.ndarray, **attributes) -> Path:
    """``dicom_dataset`` as a file."""
    dicom_dataset(array, **attributes).save_as(path, enforce_file_format=True)
    return path


def write_ct(folder: Path, volume: np.ndarray, *, step: float = 1.5, skip=(), **attributes) -> Path:
    """One CT series of (slices, rows, columns) int16 in HU, stored from the top downwards under names in that order."""
    folder.mkdir(exist_ok=True)
    series = {"SeriesInstanceUID": uids.generate_uid(), "FrameOfReferenceUID": uids.generate_uid()}
    common = {
        "sop_class": uids.CTImageStorage,
        "Modality": "CT",
        "PixelSpacing": [0.8, 0.5],
        "ImageOrientationPatient": [1, 0, 0, 0, 1, 0],
        "RescaleSlope": 1,
        "RescaleIntercept": -1024,
    }
    for k, plane in enumerate(volume):
        if k in skip:
            continue
        place = {"ImagePositionPatient": [-10.0, -20.0, 5.0 + step * k], "InstanceNumber": len(volume) - k}
        stored = (plane + 1024).astype(np.uint16)
        write_dicom(folder / f"I{len(volume) - k:04d}.dcm", stored, **{**common, **series, **place, **attributes})
    return folder
