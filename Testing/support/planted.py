"""A DICOM radiograph whose header is full of a patient, to look for what of it comes out elsewhere."""

from pathlib import Path

import numpy as np

PLANTED = {
    "PatientName": "Zaphodius^Quackenbush",
    "PatientID": "MRN-77331199",
    "PatientBirthDate": "19680229",
    "PatientAddress": "17 Betelgeuse Crescent",
    "InstitutionName": "Hospital Vogsphere",
    "ReferringPhysicianName": "Prostetnic^Jeltz",
    "AccessionNumber": "ACC-424242",
    "StudyDescription": "Scoliosis of Quackenbush",
}
WORDS = tuple(part for value in PLANTED.values() for part in value.split("^"))


def write_planted_dicom(path: Path, pixels: np.ndarray) -> None:
    """Write ``pixels`` (rows, columns) uint8 as a 12 bit DX file at 0.5 mm with the planted header."""
    import pydicom
    from pydicom.dataset import FileDataset, FileMetaDataset
    from pydicom.uid import DigitalXRayImageStorageForPresentation, ExplicitVRLittleEndian, generate_uid

    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID = DigitalXRayImageStorageForPresentation
    meta.MediaStorageSOPInstanceUID = generate_uid()
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    header = FileDataset(str(path), {}, file_meta=meta, preamble=b"\0" * 128)
    for key, value in PLANTED.items():
        setattr(header, key, value)
    header.SOPClassUID, header.SOPInstanceUID = meta.MediaStorageSOPClassUID, meta.MediaStorageSOPInstanceUID
    header.StudyInstanceUID, header.SeriesInstanceUID = generate_uid(), generate_uid()
    header.Modality, header.PatientAge, header.ViewPosition = "DX", "014Y", "AP"
    header.Rows, header.Columns = pixels.shape
    header.ImagerPixelSpacing = [0.5, 0.5]
    header.BitsAllocated, header.BitsStored, header.HighBit, header.PixelRepresentation = 16, 12, 11, 0
    header.SamplesPerPixel, header.PhotometricInterpretation = 1, "MONOCHROME2"
    header.PixelData = (pixels.astype(np.uint16) * 16).tobytes()
    pydicom.dcmwrite(path, header, enforce_file_format=True)
