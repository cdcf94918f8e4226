"""One DICOM file: grey pixels, and what its header says about size and view. Patient data are left where they are."""

import re
from pathlib import Path
from typing import TYPE_CHECKING

from orthoangles.errors import ImageError
from orthoangles.images.dicom_header import (
    OTHER_MODALITIES,
    Spacing,
    modality_of,
    numbers_of,
    spacing_of,
    text_of,
    uid_of,
)
from orthoangles.images.dicom_pixels import grey_pixels
from orthoangles.images.image import Image
from orthoangles.images.quiet import quiet_pydicom

if TYPE_CHECKING:
    from pydicom import Dataset

_DIRECTORY = "1.2.840.10008.1.3.10"
_DOCUMENTS = {
    "1.2.840.10008.5.1.4.1.1.104.1": "a PDF document",
    "1.2.840.10008.5.1.4.1.1.104.2": "a CDA document",
    "1.2.840.10008.5.1.4.1.1.481.3": "an RT structure set",
    "1.2.840.10008.5.1.4.1.1.481.5": "an RT plan",
    _DIRECTORY: "a DICOMDIR, the index of a disc",
}
_VIEWS = frozenset(
    {"AP", "PA", "LL", "RL", "RLD", "LLD", "RLO", "LLO", "LAT", "LATERAL", "OBL", "OBLIQUE", "AXIAL", "DP", "PD"}
)
# Forced reading makes some data set of any bytes; one of these is in every real one.
_IDENTIFYING = frozenset({"SOPClassUID", "MediaStorageSOPClassUID", "Modality", "Rows"})
_AGE_UNITS = {"D": 365.25, "W": 365.25 / 7, "M": 12.0, "Y": 1.0}


def is_dicom(head: bytes) -> bool:
    """Whether a file that starts so is DICOM: with its preamble, or without one but with a first element of its own."""
    if head[128:132] == b"DICM":
        return True
    return head[:2] in (b"\2\0", b"\x08\0") and head[2:3] <= b"\x20" and head[3:4] == b"\0"


def read_file(path: Path, name: str) -> Image:
    """The image of one DICOM file. Raises :class:`ImageError`."""
    return to_image(open_dataset(path, name), name)


def open_dataset(path: Path, name: str, *, pixels: bool = True) -> "Dataset":
    """The data set of a DICOM file, with or without its pixel data. Raises :class:`ImageError`."""
    import pydicom

    with quiet_pydicom():
        try:
            dataset = pydicom.dcmread(path, force=True, stop_before_pixels=not pixels)
            known = not _IDENTIFYING.isdisjoint({*dataset.dir(), *dataset.file_meta.dir()})
        except OSError as error:
            if error.strerror:
                raise
            known = False
        # pydicom raises whatever damaged bytes lead to; its text quotes values, hence no chain.
        except Exception:
            known = False
    if not known:
        raise ImageError(f"{name}: is not a DICOM file, or is damaged or cut off; copy or export it again.")
    return dataset


def to_image(dataset: "Dataset", name: str) -> Image:
    """One frame as an image: radiographs at origin 0, slices of CT or MR where they lie. Raises :class:`ImageError`."""
    from orthoangles.images.series import slice_geometry

    refuse_no_picture(dataset, name)
    array, warnings = grey_pixels(dataset, name)
    modality = modality_of(dataset)
    spacing = spacing_of(dataset, modality)
    geometry = slice_geometry(dataset, spacing) if modality in ("CT", "MR", "PT") else None
    if geometry is None:
        geometry = {"spacing": (*spacing.values, 1.0)}
    facts = facts_of(dataset, modality)
    return Image(
        array[None],
        **geometry,
        spacing_source=spacing.source,
        name=name,
        warnings=(*warnings, *spacing.warnings, *_magnified(spacing, facts["magnification"])),
        **facts,
    )


def _magnified(spacing: Spacing, magnification: float | None) -> tuple[str, ...]:
    if spacing.source != "ImagerPixelSpacing" or not magnification or magnification < 1.01:
        return ()
    return (f"Lengths are those on the detector: divide them by the stated magnification of {magnification:.3g}.",)


def facts_of(dataset: "Dataset", modality: str | None) -> dict:
    """Modality, side, view, age and magnification, as :class:`Image` wants them."""
    sides = (text_of(dataset, key) for key in ("ImageLaterality", "Laterality", "FrameLaterality"))
    view = text_of(dataset, "ViewPosition")
    return {
        "modality": modality,
        "laterality": next((side for side in sides if side in {"L", "R", "B"}), None),
        "view": view if view in _VIEWS else None,
        "patient_age": _age(text_of(dataset, "PatientAge")),
        "magnification": _magnification(dataset),
    }


def refuse_no_picture(dataset: "Dataset", name: str) -> None:
    """:class:`ImageError` for objects that are not one picture: documents, structure sets, several frames."""
    sop_class = uid_of(dataset, "SOPClassUID") or uid_of(dataset.file_meta, "MediaStorageSOPClassUID")
    if not {"PixelData", "FloatPixelData", "DoubleFloatPixelData"} & set(dataset.dir()):
        modality = text_of(dataset, "Modality")
        what = _DOCUMENTS.get(sop_class)
        if what is None and modality in OTHER_MODALITIES:
            what = f"a DICOM object of kind {modality}"
        if what:
            raise ImageError(f"{name}: is {what} and holds no picture; give the image itself.")
        raise ImageError(
            f"{name}: holds no picture, or is cut off before it; give the image itself, or export it again."
        )
    frames = numbers_of(dataset, "NumberOfFrames")
    if frames and frames[0] > 1:
        raise ImageError(
            f"{name}: holds {int(frames[0])} frames; save the frame to be measured as a file of its own, "
            "a multi-frame CT as a classic series of single slices, NRRD or NIfTI."
        )


def _age(text: str | None) -> float | None:
    match = re.fullmatch(r"(\d{1,3})([DWMY])", text or "")
    return int(match[1]) / _AGE_UNITS[match[2]] if match else None


def _magnification(dataset: "Dataset") -> float | None:
    stated = numbers_of(dataset, "EstimatedRadiographicMagnificationFactor", 1)
    detector = numbers_of(dataset, "DistanceSourceToDetector", 1)
    patient = numbers_of(dataset, "DistanceSourceToPatient", 1)
    if stated is None and detector and patient and patient[0] > 0:
        stated = (detector[0] / patient[0],)
    # Beyond these it is a wrong entry (0, 1000 mm) and no geometry of a radiograph.
    return stated[0] if stated and 1.0 <= stated[0] <= 3.0 else None
