"""One image in physical space, whatever file it came from."""

import hashlib
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from orthoangles.errors import ImageError
from orthoangles.images.grid import ImageGeometry, PhysicalGrid


@dataclass(frozen=True, eq=False)
class Image(PhysicalGrid):
    """Grey pixels with their place in the patient.

    ``array`` is (slices, rows, columns), bright = dense bone, integer or float32, finite and read-only; a radiograph
    has one slice. ``spacing`` is mm per (column, row, slice), 1 where unknown; ``origin`` the LPS mm of the centre of
    voxel (0, 0, 0); ``direction`` the unit vectors of i, j, k in LPS as columns. ``spacing_source`` says where the
    spacing comes from ("PixelSpacing", "ImagerPixelSpacing", "NIfTI header" ...); None means that it is not known:
    angles hold (as far as pixels are square), lengths do not. ``name`` is the file name without its folder.
    ``laterality`` is "L", "R", "B" or None; ``view`` a DICOM view position such as "AP"; ``modality`` a DICOM code such
    as "DX"; ``patient_age`` in years; ``magnification`` the radiographic magnification that the file states or implies,
    never applied to the spacing. Raises :class:`ImageError` where pixels or geometry are not such.

    >>> image = Image(np.zeros((1, 600, 400), np.uint8), spacing=(0.5, 0.5, 1))
    >>> image.size
    (400, 600, 1)
    """

    array: np.ndarray
    spacing: np.ndarray = (1.0, 1.0, 1.0)
    origin: np.ndarray = (0.0, 0.0, 0.0)
    direction: np.ndarray = ((1.0, 0.0, 0.0), (0.0, 1.0, 0.0), (0.0, 0.0, 1.0))
    spacing_source: str | None = None
    name: str = "image"
    laterality: str | None = None
    view: str | None = None
    modality: str | None = None
    patient_age: float | None = None
    magnification: float | None = None
    warnings: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        object.__setattr__(self, "array", _checked_pixels(self.array, self.name))
        object.__setattr__(self, "warnings", tuple(self.warnings))
        self._settle_axes(self.name)

    @property
    def size(self) -> tuple[int, int, int]:
        """(columns, rows, slices)."""
        slices, rows, columns = self.array.shape
        return columns, rows, slices

    @property
    def has_spacing(self) -> bool:
        """Whether the file gave the spacing: without it lengths are refused."""
        return self.spacing_source is not None

    @property
    def geometry(self) -> ImageGeometry:
        """Size and place of the image without its pixels."""
        return ImageGeometry(self.size, self.spacing, self.origin, self.direction, self.has_spacing)

    @cached_property
    def sha256(self) -> str:
        """Hex digest of geometry and pixels: the same for the same picture, whatever its file's name or format."""
        pixels = np.ascontiguousarray(self.array.astype(self.array.dtype.newbyteorder("<"), copy=False))
        digest = hashlib.sha256(f"{pixels.dtype.str} {pixels.shape}".encode())
        for part in (self.spacing, self.origin, self.direction):
            # + 0.0: a minus zero is the same place.
            digest.update((part + 0.0).astype("<f8").tobytes())
        digest.update(pixels)
        return digest.hexdigest()


def _checked_pixels(array, name: str) -> np.ndarray:
    pixels = np.asarray(array)
    if pixels.ndim != 3 or 0 in pixels.shape:
        raise ImageError(
            f"{name}: pixels of shape {pixels.shape} are not (slices, rows, columns); give one grey image."
        )
    if pixels.dtype.kind not in "iu" and pixels.dtype != np.float32:
        raise ImageError(f"{name}: pixels of type {pixels.dtype} are neither integers nor float32; convert them.")
    if pixels.dtype.kind == "f" and not np.isfinite(pixels).all():
        raise ImageError(
            f"{name}: some pixels are not finite numbers (NaN or infinite); replace them and save it again."
        )
    pixels = pixels.view()
    pixels.flags.writeable = False
    return pixels
