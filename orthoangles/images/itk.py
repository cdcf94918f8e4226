"""Pixels and geometry through SimpleITK, with its failures turned into :class:`ImageError`."""

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from orthoangles.errors import ImageError
from orthoangles.images.quiet import quiet_itk

if TYPE_CHECKING:
    import SimpleITK

_LARGEST = 2**31  # voxels: four times a whole-body CT
# Deflate, the strongest of the compressions used by volumes and PNG, packs at most 1032 : 1.
_PACKING = 1100
# libjpeg says so and goes on with a grey or shifted rest of the picture. Extraneous bytes, which it reports too, are
# harmless and frequent.
_SIGNS_OF_DAMAGE = (b"Corrupt JPEG data: bad", b"Corrupt JPEG data: premature", b"Premature end of JPEG")


def read_with_itk(path: Path, image_io: str, name: str, *, compact: bool = False) -> "SimpleITK.Image":
    """The file as SimpleITK reads it with this ImageIO.

    ``compact``: the pixels are in this very file and packed by deflate at most, so that a header that announces more
    than the file can hold is refused before memory is asked for. Raises :class:`ImageError`.
    """
    import SimpleITK

    reader = SimpleITK.ImageFileReader()
    reader.SetImageIO(image_io)
    reader.SetFileName(str(path))
    try:
        with quiet_itk() as said:
            reader.ReadImageInformation()
            _refuse_outsize(reader, path, name, compact)
            image = reader.Execute()
        if not any(sign in said.text for sign in _SIGNS_OF_DAMAGE):
            return image
        reason = _reason("")
    except RuntimeError as error:
        reason = _reason(str(error))
    # Outside the handler: ITK's text holds the whole path.
    raise ImageError(f"{name}: {reason}")


def _refuse_outsize(reader, path: Path, name: str, compact: bool) -> None:
    import SimpleITK

    size = reader.GetSize()
    voxels = int(np.prod([int(n) for n in size], dtype=object))
    if voxels > _LARGEST or (compact and voxels > _PACKING * path.stat().st_size):
        shape = " x ".join(str(n) for n in size)
        raise ImageError(
            f"{name}: its header announces {shape} voxels, far more than it can hold; "
            "the file is damaged, copy it again."
        )
    if reader.GetPixelIDValue() in (SimpleITK.sitkComplexFloat32, SimpleITK.sitkComplexFloat64):
        raise ImageError(f"{name}: its voxels are complex numbers; save the magnitude image instead.")


def _reason(text: str) -> str:
    if "orthonormal" in text or "Bad direction" in text or "determinant" in text:
        return "its axes are not at right angles, or do not span space; resample it onto a rectangular 3D grid."
    return "is damaged, cut off or of a kind that cannot be decoded; copy or export it again."


def grey_array(image: "SimpleITK.Image", name: str) -> tuple[np.ndarray, list[str]]:
    """Pixels without components, (rows, columns) or (slices, rows, columns), and warnings.

    Colour becomes luminance. Raises :class:`ImageError` for other vectors.
    """
    import SimpleITK

    components = image.GetNumberOfComponentsPerPixel()
    array = SimpleITK.GetArrayFromImage(image)
    if components == 1:
        return plain_type(array), []
    if components not in (3, 4) or array.dtype.kind != "u":
        raise ImageError(f"{name}: each pixel holds {components} values; save it as one grey image.")
    grey, warnings = luminance(array)
    return plain_type(grey), warnings


def luminance(array: np.ndarray) -> tuple[np.ndarray, list[str]]:
    """Grey (...) of red, green, blue (..., 3) or with alpha (..., 4), unsigned; with a warning where it was not grey.

    ITU-R BT.601 weights, as PNG viewers and JPEG use. Transparent pixels darken towards black.
    """
    warnings = []
    red, green, blue = (array[..., channel] for channel in range(3))
    if np.array_equal(red, green) and np.array_equal(green, blue):
        grey = np.ascontiguousarray(green)
    else:
        total = 299 * red.astype(np.uint64) + 587 * green.astype(np.uint64) + 114 * blue.astype(np.uint64)
        grey = ((total + 500) // 1000).astype(array.dtype)
        if _coloured(array[..., :3]):
            warnings.append("The image has colours; they were turned into grey by their luminance.")
    if array.shape[-1] == 4:
        opaque = np.iinfo(array.dtype).max
        alpha = array[..., 3]
        if (alpha != opaque).any():
            grey = (grey.astype(np.uint64) * alpha // opaque).astype(array.dtype)
            warnings.append("The image has transparent parts; they were put on black.")
    return grey, warnings


def _coloured(rgb: np.ndarray) -> bool:
    # JPEG's chroma noise on a grey image stays below a few per cent of the range, in a few pixels.
    sample = rgb.reshape(-1, 3)[:: max(1, rgb.size // 3_000_000)].astype(np.int64)
    saturated = np.ptp(sample, axis=1) > 0.06 * np.iinfo(rgb.dtype).max
    return bool(saturated.mean() > 0.001)


def plain_type(array: np.ndarray) -> np.ndarray:
    """The array as an integer of at most 32 bits or float32, in native byte order, whatever fits without loss first."""
    if array.dtype.kind == "f":
        # Beyond float32 becomes infinite, which an Image refuses.
        with np.errstate(over="ignore"):
            return array.astype(np.float32, copy=False)
    if array.dtype.kind == "b":
        return array.astype(np.uint8)
    if array.dtype.itemsize <= 4:
        return array.astype(array.dtype.newbyteorder("="), copy=False)
    return narrow_integers(array)


def narrow_integers(array: np.ndarray) -> np.ndarray:
    """Integers in the smallest of uint8, int16, uint16, int32 and uint32 that holds them, else float32."""
    low, high = (int(array.min()), int(array.max())) if array.size else (0, 0)
    for kind in (np.uint8, np.int16, np.uint16, np.int32, np.uint32):
        if np.iinfo(kind).min <= low and high <= np.iinfo(kind).max:
            return array.astype(kind)
    return array.astype(np.float32)
