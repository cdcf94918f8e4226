"""A folder of DICOM files: one picture, or the slices of one series stacked to a volume."""

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from orthoangles.errors import ImageError
from orthoangles.images import dicom
from orthoangles.images.dicom_header import Spacing, modality_of, numbers_of, spacing_of, uid_of
from orthoangles.images.dicom_pixels import grey_pixels
from orthoangles.images.image import Image
from orthoangles.images.itk import narrow_integers
from orthoangles.images.quiet import quiet_pydicom

if TYPE_CHECKING:
    from pydicom import Dataset

_VOLUMES = frozenset({"CT", "MR", "PT"})
_DAMAGED_IF_UNREADABLE = frozenset({".dcm", ".dicom", ".ima"})
_MOST_FILES = 20_000
_COSINES_DIFFER = 1e-3
# Positions are written with one or two decimals; a missing slice shows as a whole step.
_POSITION_SLACK_MM = 0.1

Slice = tuple[Path, "Dataset"]


def read_folder(folder: Path, name: str) -> Image:
    """The image of a folder (with its subfolders) of DICOM files. Raises :class:`ImageError`.

    Files that are not DICOM and DICOM objects without pixels are passed over. Several radiographs, several series,
    missing and doubled slices are refused rather than guessed at.
    """
    slices = _pictures(folder, name)
    if len(slices) == 1:
        path, _ = slices[0]
        return dicom.read_file(path, path.name)
    _refuse_mixture(slices, name)
    return _stacked(slices, name)


def slice_geometry(dataset: "Dataset", spacing: Spacing) -> dict | None:
    """Spacing, origin and direction of a single slice for :class:`Image`; None where it does not say how it lies."""
    frame = _frame(dataset)
    if frame is None:
        return None
    position, direction = frame
    step = numbers_of(dataset, "SpacingBetweenSlices", 1) or numbers_of(dataset, "SliceThickness", 1)
    step = step[0] if step and step[0] > 0 else 1.0
    return {"spacing": (*spacing.values, step), "origin": position, "direction": direction}


def _pictures(folder: Path, name: str) -> list[Slice]:
    paths = sorted(path for path in folder.rglob("*") if path.is_file() and not path.name.startswith("."))
    if len(paths) > _MOST_FILES:
        raise ImageError(f"{name}: the folder holds more than {_MOST_FILES} files; give the folder of one series.")
    found, others = [], 0
    for path in paths:
        dataset = _header(path, name)
        if dataset is not None and "Rows" in dataset and "Columns" in dataset:
            found.append((path, dataset))
        elif dataset is not None:
            _refuse_cut_header(dataset, path, name)
            others += 1
    if found:
        return found
    if others:
        raise ImageError(
            f"{name}: the folder's DICOM files ({others}) hold no pictures; give the folder with the images."
        )
    raise ImageError(f"{name}: the folder holds no DICOM files; give a DICOM folder, or one image file.")


def _header(path: Path, name: str) -> "Dataset | None":
    """Header of a DICOM file, None for other files. A damaged one is an error: a slice must not vanish silently."""
    with path.open("rb") as stream:
        head = stream.read(132)
    if dicom.is_dicom(head):
        return dicom.open_dataset(path, f"{name}: {path.name}", pixels=False)
    if path.suffix.lower() in _DAMAGED_IF_UNREADABLE:
        raise ImageError(f"{name}: {path.name} is empty or not DICOM; copy the folder again or take the file out.")
    return None


def _refuse_cut_header(dataset: "Dataset", path: Path, name: str) -> None:
    """An object without rows is passed over where it is of another kind, not where it is the rest of an image."""
    from pydicom.uid import UID

    sop_class = uid_of(dataset, "SOPClassUID") or uid_of(dataset.file_meta, "MediaStorageSOPClassUID")
    with quiet_pydicom():
        image = sop_class is None or "Image Storage" in UID(sop_class).name
    if image:
        raise ImageError(f"{name}: {path.name} is cut off; copy the folder again.")


def _refuse_mixture(slices: list[Slice], name: str) -> None:
    modalities = {modality_of(dataset) for _, dataset in slices}
    if not modalities <= _VOLUMES:
        raise ImageError(
            f"{name}: the folder holds {len(slices)} images that are not slices of one volume "
            f"({', '.join(sorted(str(modality) for modality in modalities))}); give the file of the one to be measured."
        )
    series = {}
    for _, dataset in slices:
        uid = uid_of(dataset, "SeriesInstanceUID")
        series[uid] = series.get(uid, 0) + 1
    if len(series) > 1:
        counts = " and ".join(str(count) for count in sorted(series.values())[:10])
        raise ImageError(
            f"{name}: the folder holds {len(series)} series ({counts} images); put the one to be measured "
            "in a folder of its own."
        )


def _stacked(slices: list[Slice], name: str) -> Image:
    frames = [_frame(dataset) for _, dataset in slices]
    for (path, dataset), frame in zip(slices, frames, strict=True):
        if (numbers_of(dataset, "NumberOfFrames") or (1,))[0] > 1:
            raise ImageError(
                f"{name}: {path.name} holds several frames; export the series as single slices, NRRD or NIfTI."
            )
        if frame is None:
            raise ImageError(f"{name}: {path.name} does not say where its slice lies; export the series again.")
    first, direction = slices[0][1], frames[0][1]
    spacing = spacing_of(first, modality_of(first))
    for (path, dataset), (_, other) in zip(slices, frames, strict=True):
        same_size = all(numbers_of(dataset, key) == numbers_of(first, key) for key in ("Rows", "Columns"))
        values = spacing_of(dataset, modality_of(dataset)).values
        if not same_size or not np.allclose(values, spacing.values, rtol=1e-3, atol=0):
            raise ImageError(f"{name}: {path.name} has another size than the first slice; give one series alone.")
        if np.abs(other - direction).max() > _COSINES_DIFFER:
            raise ImageError(f"{name}: {path.name} is turned against the first slice; give one series alone.")
    positions = np.array([position for position, _ in frames])
    order = np.argsort(positions @ direction[:, 2], kind="stable")
    step = _even_step(positions[order], direction[:, 2], name)
    array, warnings = _pixels([slices[n][0] for n in order], name)
    return Image(
        array,
        spacing=(*spacing.values, step),
        origin=positions[order[0]],
        direction=direction,
        spacing_source=spacing.source,
        name=name,
        warnings=(*warnings, *spacing.warnings),
        **dicom.facts_of(first, modality_of(first)),
    )


def _frame(dataset: "Dataset") -> tuple[np.ndarray, np.ndarray] | None:
    """Position (3,) of the first pixel and direction (3, 3) of columns, rows and slices; None where not stated."""
    position = numbers_of(dataset, "ImagePositionPatient", 3)
    cosines = numbers_of(dataset, "ImageOrientationPatient", 6)
    if position is None or cosines is None:
        return None
    along_row, along_column = np.array(cosines[:3]), np.array(cosines[3:])
    lengths = np.linalg.norm(along_row), np.linalg.norm(along_column)
    if not all(0.9 < length < 1.1 for length in lengths):
        return None
    along_row, along_column = along_row / lengths[0], along_column / lengths[1]
    if abs(along_row @ along_column) > _COSINES_DIFFER:
        return None
    # DICOM's six cosines are rounded: a right angle exactly, for the grid's own sake.
    normal = np.cross(along_row, along_column)
    normal /= np.linalg.norm(normal)
    return np.array(position), np.column_stack([along_row, np.cross(normal, along_row), normal])


def _even_step(positions: np.ndarray, normal: np.ndarray, name: str) -> float:
    """Distance of neighbouring slices in mm. Raises :class:`ImageError` for doubled, missing or slanting slices."""
    heights = positions @ normal
    steps = np.diff(heights)
    usual = float(np.median(steps))
    if steps.min() < min(0.01, 0.1 * max(usual, 0.0)) or usual <= 0:
        double = int((steps < max(0.01, 0.1 * usual)).sum())
        raise ImageError(
            f"{name}: {double} slices lie where another one does (two phases, or copies); give one series alone."
        )
    slack = min(_POSITION_SLACK_MM, 0.25 * usual)
    gaps = steps - usual
    if np.abs(gaps).max() > slack:
        at = int(np.abs(gaps).argmax())
        raise ImageError(
            f"{name}: slices {at + 1} and {at + 2} of {len(heights)} are {steps[at]:.2f} mm apart, "
            f"the others {usual:.2f} mm: "
            "slices are missing or uneven; export the whole series again."
        )
    step = float(heights[-1] - heights[0]) / (len(heights) - 1)
    sideways = positions - positions[0] - np.outer(heights - heights[0], normal)
    if np.linalg.norm(sideways, axis=1).max() > _POSITION_SLACK_MM + _COSINES_DIFFER * (heights[-1] - heights[0]):
        raise ImageError(
            f"{name}: the slices are shifted against each other (tilted gantry), "
            "so angles on the stack would be wrong; "
            "export the series corrected for the tilt."
        )
    return step


def _pixels(paths: list[Path], name: str) -> tuple[np.ndarray, list[str]]:
    planes, warnings = [], []
    for path in paths:
        inner = f"{name}: {path.name}"
        plane, notes = grey_pixels(dicom.open_dataset(path, inner), inner)
        if planes and plane.shape != planes[0].shape:
            raise ImageError(f"{inner}: has another size than the first slice; give one series alone.")
        planes.append(plane)
        warnings += [note for note in notes if note not in warnings]
    if len({plane.dtype for plane in planes}) > 1 and all(plane.dtype.kind in "iu" for plane in planes):
        return narrow_integers(np.stack([plane.astype(np.int64) for plane in planes])), warnings
    return np.stack(planes).astype(np.result_type(*planes), copy=False), warnings
