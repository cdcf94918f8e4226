"""Whether an image fits a protocol's kind, and the grey range to show it in."""

import numpy as np

from orthoangles.errors import ImageError
from orthoangles.images.image import Image

# DICOM modality codes. A plain picture has none and is taken at its word.
RADIOGRAPH_MODALITIES = frozenset({"CR", "DX", "RG", "RF", "XA", "MG", "IO", "PX", "OT", "SC"})
VOLUME_MODALITIES = frozenset({"CT", "OT", "SC"})

_SAMPLES = 1_000_000


def require_radiograph(image: Image) -> Image:
    """``image`` itself when it is one flat radiograph (or a picture of one); :class:`ImageError` otherwise."""
    if not image.is_radiograph:
        raise ImageError(
            f"{image.name}: this is a volume of {image.size[2]} slices; a radiograph with one slice is needed here."
        )
    if image.modality is not None and image.modality not in RADIOGRAPH_MODALITIES:
        raise ImageError(
            f"{image.name}: its DICOM modality is {image.modality}; a radiograph (CR, DX, RG ...) is needed here."
        )
    return image


def require_volume(image: Image) -> Image:
    """``image`` itself when it is a CT volume with a known spacing; :class:`ImageError` otherwise."""
    if image.is_radiograph:
        raise ImageError(
            f"{image.name}: this is a flat image; a CT volume is needed here: "
            "give the series' folder, an NRRD or a NIfTI."
        )
    if image.modality is not None and image.modality not in VOLUME_MODALITIES:
        raise ImageError(f"{image.name}: its DICOM modality is {image.modality}; a CT volume is needed here.")
    if not image.has_spacing:
        raise ImageError(
            f"{image.name}: the file does not say how large a voxel is; save the volume again with its spacing."
        )
    return image


def display_range(image: Image, percentiles: tuple[float, float] = (0.5, 99.5)) -> tuple[float, float]:
    """Grey values to show as black and white: percentiles that neither burnt-in marks nor a blank border move.

    The darkest and the brightest value are left out where enough is left without them: collimated borders, padding and
    saturated markers are single values. ``low < high`` always holds. Large images are sampled on a regular grid.
    """
    pixels = image.array.reshape(-1)
    sample = pixels[:: max(1, pixels.size // _SAMPLES)]
    inner = sample[(sample > sample.min()) & (sample < sample.max())]
    if inner.size >= 0.05 * sample.size:
        sample = inner
    low, high = (float(value) for value in np.percentile(sample, percentiles))
    return (low, high) if low < high else (low, low + 1.0)
