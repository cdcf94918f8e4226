"""Images as files of a dataset or for other tools: pixels and geometry alone, no header of the file they came in."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from orthoangles.annotation.jpeg import bare_jpeg
from orthoangles.errors import DatasetError

_TOP = np.iinfo(np.uint16).max


def image_suffix(image) -> str:
    """Suffix ``.png`` where the file format loses nothing of this image, else ``.nrrd``."""
    placed = image.has_spacing or not (
        np.allclose(image.spacing, 1) and np.allclose(image.origin, 0) and np.allclose(image.direction, np.eye(3))
    )
    return ".png" if image.is_radiograph and not placed and image.array.dtype in (np.uint8, np.uint16) else ".nrrd"


def write_image(image, path: Path) -> None:
    """Write pixels and geometry alone; the suffix of ``path`` (.png or .nrrd) chooses the format."""
    import SimpleITK

    if path.suffix == ".png":
        picture = SimpleITK.GetImageFromArray(image.array[0])
    else:
        picture = SimpleITK.GetImageFromArray(image.array)
        picture.SetSpacing([float(x) for x in image.spacing])
        picture.SetOrigin([float(x) for x in image.origin])
        picture.SetDirection([float(x) for x in np.asarray(image.direction).ravel()])
    _write(picture, path)


def _write(picture, path: Path) -> None:
    import SimpleITK

    try:
        SimpleITK.WriteImage(picture, str(path), useCompression=True)
    except RuntimeError:
        # ITK's text holds the whole path.
        raise DatasetError("the image cannot be written; is the disk full, or the folder read-only?") from None


@dataclass(frozen=True)
class BareCopy:
    """How to write the picture of a file without its header: the suffix it then has, and its (columns, rows)."""

    suffix: str
    write: Callable[[Path], Any]
    size: tuple[int, int]


def bare_copy(path: Path) -> BareCopy:
    """A copy of an image file that says nothing but the picture; a JPEG keeps its compressed pixels.

    Raises ImageError where the file is no readable image.
    """
    from orthoangles.images import read_image

    is_jpeg = path.suffix.lower() in (".jpg", ".jpeg")
    bare = bare_jpeg(path.read_bytes()) if is_jpeg and path.is_file() else None
    if bare:
        return BareCopy(path.suffix.lower(), lambda target: target.write_bytes(bare[0]), bare[1])
    image = read_image(path)
    return BareCopy(image_suffix(image), lambda target: write_image(image, target), image.size[:2])


# --- grey values for tools that read PNG only


def write_grey_png(array: np.ndarray, path: Path) -> None:
    """Write (rows, columns) as PNG of 8 or 16 bits, by :func:`packing`."""
    import SimpleITK

    _write(SimpleITK.GetImageFromArray(packed(array, packing(array))), path)


def packing(array: np.ndarray) -> dict[str, Any]:
    """How grey values (rows, columns) go into a PNG: value = stored * ``slope`` + ``intercept``, of type ``dtype``.

    Exact for whole numbers that span less than 65,536; others are spread over 16 bits.
    """
    low, high = float(array.min()), float(array.max())
    if array.dtype == np.uint8 or (array.dtype.kind in "iu" and low >= 0 and high <= _TOP):
        return {"dtype": array.dtype.name, "slope": 1.0, "intercept": 0.0}
    whole = array.dtype.kind in "iu" or bool((array == np.rint(array)).all())
    slope = 1.0 if whole and high - low <= _TOP else (high - low) / _TOP or 1.0
    return {"dtype": array.dtype.name, "slope": slope, "intercept": low}


def packed(array: np.ndarray, rule: Mapping[str, Any]) -> np.ndarray:
    """Grey values as stored by ``rule``: uint8 as they are, all else uint16."""
    if array.dtype == np.uint8:
        return array
    stored = np.rint((array.astype(np.float64) - rule["intercept"]) / rule["slope"])
    return stored.astype(np.uint16)


def unpacked(stored: np.ndarray, rule: Mapping[str, Any]) -> np.ndarray:
    """Grey values from what :func:`packed` stored. Raises ValueError, KeyError or TypeError for a malformed rule."""
    kind = np.dtype(str(rule["dtype"]))
    if kind.kind not in "iu" and kind != np.float32:
        raise ValueError("not a type of grey values")
    values = stored.astype(np.float64) * float(rule["slope"]) + float(rule["intercept"])
    if kind.kind in "iu":
        values = np.clip(np.rint(values), np.iinfo(kind).min, np.iinfo(kind).max)
    return values.astype(kind)
