"""Where the voxels of an image lie in the patient: index coordinates to LPS millimetres and back."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from orthoangles.errors import ImageError

# A direction matrix rounded in a file is off by about 1e-4; a tilted gantry, which would bend angles, by 1e-2 and more.
_AXES_TOLERANCE = 1e-3


class PhysicalGrid:
    """A regular grid of voxel centres in space: the base of :class:`ImageGeometry` and :class:`Image`.

    A subclass has ``size`` (columns, rows, slices), ``spacing`` (3,) in mm, ``origin`` (3,) in LPS mm and ``direction``
    (3, 3), whose columns are the unit vectors of columns (i), rows (j) and slices (k) in LPS.
    """

    size: tuple[int, int, int]
    spacing: np.ndarray
    origin: np.ndarray
    direction: np.ndarray

    @cached_property
    def affine(self) -> np.ndarray:
        """(4, 4) matrix from index coordinates (i, j, k, 1) to LPS millimetres."""
        matrix = np.eye(4)
        matrix[:3, :3] = self.direction * self.spacing
        matrix[:3, 3] = self.origin
        matrix.flags.writeable = False
        return matrix

    @cached_property
    def _index_from_lps(self) -> np.ndarray:
        return np.linalg.inv(self.affine[:3, :3])

    @property
    def is_radiograph(self) -> bool:
        """Whether the image is flat: one slice."""
        return self.size[2] == 1

    def physical_points(self, ijk) -> np.ndarray:
        """LPS mm (n, 3) of index coordinates (n, 3): fractional (i = column, j = row, k = slice), NaN stays NaN."""
        return np.asarray(ijk, dtype=np.float64) @ self.affine[:3, :3].T + self.origin

    def index_points(self, lps) -> np.ndarray:
        """Index coordinates (n, 3), fractional (column, row, slice), of LPS points (n, 3) in mm; NaN stays NaN."""
        return (np.asarray(lps, dtype=np.float64) - self.origin) @ self._index_from_lps.T

    def _settle_axes(self, name: str) -> None:
        """Store spacing, origin and direction as read-only float64 arrays; refuse those that make no grid."""
        for field, shape in (("spacing", (3,)), ("origin", (3,)), ("direction", (3, 3))):
            value = np.array(getattr(self, field), dtype=np.float64)
            if value.shape != shape or not np.isfinite(value).all():
                raise ImageError(f"{name}: the image's {field} is not {shape} finite numbers; export it again.")
            value.flags.writeable = False
            object.__setattr__(self, field, value)
        if (self.spacing <= 0).any():
            raise ImageError(f"{name}: the image's spacing is not positive; export it again.")
        if np.abs(self.direction.T @ self.direction - np.eye(3)).max() > _AXES_TOLERANCE:
            raise ImageError(
                f"{name}: the image's axes are not at right angles, so angles on it would be wrong; "
                "resample it onto a rectangular grid."
            )


@dataclass(frozen=True, eq=False)
class ImageGeometry(PhysicalGrid):
    """The geometry of an image without its pixels.

    ``size`` is (columns, rows, slices), ``spacing`` mm per (column, row, slice), ``origin`` the LPS mm of the centre of
    voxel (0, 0, 0), ``direction`` the unit vectors of i, j, k in LPS as columns; ``has_spacing`` is False where the
    spacing of 1 stands for one that is not known. Raises :class:`ImageError` when the axes are not at right angles or
    the spacing is not positive.

    >>> geometry = ImageGeometry((512, 1024, 1), spacing=(0.5, 0.5, 1))
    >>> geometry.physical_points([[10, 20, 0]])
    array([[ 5., 10.,  0.]])
    """

    size: tuple[int, int, int]
    spacing: np.ndarray = (1.0, 1.0, 1.0)
    origin: np.ndarray = (0.0, 0.0, 0.0)
    direction: np.ndarray = ((1.0, 0.0, 0.0), (0.0, 1.0, 0.0), (0.0, 0.0, 1.0))
    has_spacing: bool = True

    def __post_init__(self) -> None:
        size = tuple(int(n) for n in self.size)
        if len(size) != 3 or min(size) < 1:
            raise ImageError(f"Image geometry: size {size} is not (columns, rows, slices).")
        object.__setattr__(self, "size", size)
        self._settle_axes("Image geometry")
