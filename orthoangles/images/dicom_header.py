"""Values of a DICOM header that may be missing, empty or nonsense, and the pixel spacing made of them."""

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from orthoangles.images.quiet import quiet_pydicom

if TYPE_CHECKING:
    from pydicom import Dataset

# Modalities whose objects are pictures, DICOM PS3.3 C.7.3.1.1.1. Others (and whatever stands there by mistake) are
# not repeated in messages: any text may hold a name.
_PICTURE_MODALITIES = frozenset(
    {"CR", "CT", "DX", "DG", "ES", "GM", "IO", "IVUS", "MG", "MR", "NM", "OCT", "OP", "OT", "PT", "PX", "RF", "RG"}
    | {"RTIMAGE", "SC", "SM", "TG", "US", "XA", "XC", "XRF"}
)
OTHER_MODALITIES = frozenset(
    {"AU", "DOC", "ECG", "FID", "HD", "KO", "M3D", "PR", "REG", "RTDOSE", "RTPLAN", "RTRECORD", "RTSTRUCT", "SEG", "SR"}
)
_PROJECTIONS = frozenset({"CR", "DX", "RG", "RF", "XA", "MG", "IO", "PX", "XRF"})
_SECONDARY_CAPTURE = "1.2.840.10008.5.1.4.1.1.7"
_SOP_MODALITIES = {
    "1.2.840.10008.5.1.4.1.1.1": "CR",
    "1.2.840.10008.5.1.4.1.1.1.1": "DX",
    "1.2.840.10008.5.1.4.1.1.1.1.1": "DX",
    "1.2.840.10008.5.1.4.1.1.2": "CT",
    _SECONDARY_CAPTURE: "OT",
}
# Two statements of the same length that differ by less are rounding.
_AGREE = 0.005


@dataclass(frozen=True)
class Spacing:
    """Pixel spacing (column, row) in mm, the DICOM attribute it is from (None: unknown) and what to know about it."""

    values: tuple[float, float]
    source: str | None
    warnings: tuple[str, ...] = ()


def text_of(dataset: "Dataset", keyword: str) -> str | None:
    """An attribute as upper-case text, None where missing, empty or unreadable."""
    try:
        with quiet_pydicom():
            value = dataset.get(keyword)
    except Exception:  # Conversion on access raises whatever a damaged value leads to.
        return None
    return str(value).strip().upper() or None if value is not None else None


def uid_of(dataset: "Dataset", keyword: str) -> str | None:
    """A UID attribute as text, None where there is none."""
    return text_of(dataset, keyword)


def numbers_of(dataset: "Dataset", keyword: str, count: int | None = None) -> tuple[float, ...] | None:
    """Finite numbers of an attribute, None where missing, not numbers, or not ``count`` of them."""
    try:
        with quiet_pydicom():
            value = dataset.get(keyword)
            values = tuple(float(part) for part in np.atleast_1d(np.asarray(value, dtype=object)).tolist())
    except Exception:
        return None
    if not values or not all(map(math.isfinite, values)) or (count is not None and len(values) != count):
        return None
    return values


def modality_of(dataset: "Dataset") -> str | None:
    """A DICOM modality code; the SOP class's where the attribute is missing; "UNKNOWN" where neither is known."""
    modality = text_of(dataset, "Modality")
    if modality in _PICTURE_MODALITIES or modality in OTHER_MODALITIES:
        return modality
    return _SOP_MODALITIES.get(uid_of(dataset, "SOPClassUID"), "UNKNOWN")


def spacing_of(dataset: "Dataset", modality: str | None) -> Spacing:
    """Spacing of the pixels and where it comes from.

    Radiographs: ImagerPixelSpacing, the spacing on the detector, as Slicer takes it; others PixelSpacing, the spacing
    in the patient. Where the right one is missing the other or the scanner's (NominalScannedPixelSpacing) serves, with
    a warning. Lengths on the detector are magnified. Rows and columns may differ, for that bends angles.
    """
    # Slicer goes by the SOP class: a digitised film is a secondary capture, whatever its modality.
    projection = modality in _PROJECTIONS and uid_of(dataset, "SOPClassUID") != _SECONDARY_CAPTURE
    order = ("ImagerPixelSpacing", "PixelSpacing", "NominalScannedPixelSpacing")
    if not projection:
        order = ("PixelSpacing", "ImagerPixelSpacing", "NominalScannedPixelSpacing")
    known = {key: pair for key in order if (pair := _pair(dataset, key))}
    if not known:
        return _aspect(dataset)
    source, (row, column) = next(iter(known.items()))
    warnings = []
    if projection and source == "PixelSpacing":
        warnings.append("Spacing is from PixelSpacing: the file does not state the detector's (ImagerPixelSpacing).")
    elif not projection and source == "ImagerPixelSpacing":
        warnings.append("Spacing is the detector's (ImagerPixelSpacing): the file has no PixelSpacing.")
    elif source == "NominalScannedPixelSpacing":
        warnings.append("Spacing is that of the film scanner (NominalScannedPixelSpacing).")
    other = known.get("PixelSpacing" if source == "ImagerPixelSpacing" else "ImagerPixelSpacing")
    if other and max(abs(a / b - 1) for a, b in zip(other, (row, column), strict=True)) > _AGREE:
        unused = "PixelSpacing" if source == "ImagerPixelSpacing" else "ImagerPixelSpacing"
        warnings.append(
            f"{source} ({row:g} x {column:g} mm) was used; {unused} ({other[0]:g} x {other[1]:g} mm) differs, "
            "so one of them was corrected for magnification: lengths depend on which is right."
        )
    return Spacing((column, row), source, tuple(warnings))


def _pair(dataset: "Dataset", keyword: str) -> tuple[float, float] | None:
    """Row and column spacing in mm, DICOM's order; None where missing or impossible."""
    values = numbers_of(dataset, keyword, 2)
    return values if values and all(1e-4 <= value <= 100 for value in values) else None


def _aspect(dataset: "Dataset") -> Spacing:
    values = numbers_of(dataset, "PixelAspectRatio", 2)
    ratio = values[0] / values[1] if values and min(values) > 0 else 1.0
    if abs(ratio - 1) <= _AGREE or not 0.1 < ratio < 10:
        return Spacing((1.0, 1.0), None)
    note = "Only the shape of the pixels is known (PixelAspectRatio), not their size."
    return Spacing((1.0, ratio), None, (note,))
