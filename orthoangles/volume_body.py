"""What of a CT volume is body and what is bone: an upright 2 mm grid, Otsu's threshold, the floor plate, grey levels.

Everything here is seen on the same grid, whatever the file's axes and voxels: along LPS, 2 mm, (z, y, x), some million
values at most.
"""

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from orthoangles.images import Image

STEP = 2.0
"""mm of the grid."""

_SAMPLES = 2_000_000
_BINS = 256
_BELOW_HU = -1100.0
_PLATE_DROP = 0.2
"""Share of a layer that ends with a plate: from its top to the layers above it so much less is body. A foot's own
layers change by less than a tenth."""
_PLATE_WITHIN = 8.0
"""mm over which a plate's top, which may be tilted, comes to its end."""


@dataclass(frozen=True, eq=False)
class UprightGrid:
    """The volume on the grid: ``values`` (z, y, x) float32, ``origin`` (3,) LPS mm of the first, ``inside`` (z, y, x)
    where the image has voxels.
    """

    values: np.ndarray
    origin: np.ndarray
    inside: np.ndarray

    def places(self, mask: np.ndarray) -> np.ndarray:
        """(n, 3) LPS mm of what is true in ``mask`` (z, y, x)."""
        return self.origin + STEP * np.argwhere(mask)[:, ::-1]

    def box(self, mask: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Lower and upper corner (3,) LPS mm of what is true in ``mask``."""
        low, high = [], []
        for axis in (2, 1, 0):
            taken = np.flatnonzero(mask.any(axis=tuple(k for k in range(3) if k != axis)))
            low.append(taken[0])
            high.append(taken[-1])
        return self.origin + STEP * (np.array(low) - 0.5), self.origin + STEP * (np.array(high) + 0.5)

    @cached_property
    def threshold(self) -> tuple[float, float]:
        """Otsu's threshold and the share of the variance that it explains, 0..1."""
        return otsu(self.values[self.inside])


def upright_grid(image: Image) -> UprightGrid:
    """Mean values of ``image`` about each point of the grid. Padding below the air counts as the lowest air."""
    from scipy.ndimage import affine_transform

    pooled, factors = _pooled(image, _lowest_air(image))
    # Index (column, row, slice) of the first pooled voxel's centre, and LPS mm per pooled voxel.
    to_lps = image.affine[:3, :3] * factors
    first = image.physical_points([(factors - 1) / 2])[0]
    last = np.array(pooled.shape[::-1]) - 1
    corners = first + np.array([[a, b, c] for a in (0, 1) for b in (0, 1) for c in (0, 1)]) * last @ to_lps.T
    low, high = corners.min(axis=0), corners.max(axis=0)
    size = np.floor((high - low) / STEP + 1e-6).astype(int) + 1
    # affine_transform counts (z, y, x): both sides reversed.
    matrix = (np.linalg.inv(to_lps) * STEP)[::-1, ::-1]
    offset = (np.linalg.inv(to_lps) @ (low - first))[::-1]
    values = affine_transform(pooled, matrix, offset, tuple(size[::-1]), order=1, mode="nearest")
    return UprightGrid(values, low, _inside(values.shape, matrix, offset, pooled.shape))


def _inside(shape: tuple[int, ...], matrix: np.ndarray, offset: np.ndarray, of: tuple[int, ...]) -> np.ndarray:
    """Where ``matrix`` @ index + ``offset`` of a grid of ``shape`` lies within an array of shape ``of``, half a voxel
    around its outermost centres.
    """
    z, y, x = np.ogrid[tuple(slice(0, n) for n in shape)]
    inside = np.ones(shape, dtype=bool)
    for row, start, count in zip(matrix.astype(np.float32), offset.astype(np.float32), of, strict=True):
        index = (row[0] * z.astype(np.float32) + row[1] * y + start) + row[2] * x
        inside &= (index >= -0.5) & (index <= count - 0.5)
    return inside


def _lowest_air(image: Image) -> float:
    """What counts as the lowest value: below any HU there is padding about a scanner's field, -1024 to -3024, and
    artefacts.
    """
    values = image.array.reshape(-1)
    sample = values[:: max(1, values.size // _SAMPLES)]
    lowest = float(sample.min())
    seen = sample[sample > lowest]
    return float(np.percentile(seen, 0.5)) if lowest < _BELOW_HU and len(seen) else lowest


def _pooled(image: Image, lowest: float) -> tuple[np.ndarray, np.ndarray]:
    """Means (slices, rows, columns) float32 of blocks of about ``STEP``, and how many voxels (columns, rows, slices)
    make one. Voxels that fill no block at the end are left out.
    """
    factors = np.maximum(1, np.round(STEP / image.spacing)).astype(int)
    factors = np.minimum(factors, image.size)
    columns, rows, slices = np.array(image.size) // factors
    across, down, deep = factors
    pooled = np.empty((slices, rows, columns), dtype=np.float32)
    for k in range(slices):
        slab = image.array[k * deep : (k + 1) * deep, : rows * down, : columns * across]
        layer = np.maximum(slab, slab.dtype.type(lowest)).sum(axis=0, dtype=np.float32)
        pooled[k] = layer.reshape(rows, down, columns, across).sum(axis=(1, 3)) / (across * down * deep)
    return pooled, factors


def otsu(values: np.ndarray) -> tuple[float, float]:
    """Otsu's threshold (1979) of ``values`` and the share of their variance that it explains; the brightest 0.5 %,
    which may be metal, count as the darkest of them.
    """
    top = np.percentile(values, 99.5)
    counts, edges = np.histogram(np.minimum(values, top), bins=_BINS)
    middle = (edges[:-1] + edges[1:]) / 2
    below = np.cumsum(counts)
    total, weighted = below[-1], np.cumsum(counts * middle)
    parted = below * (total - below)
    between = (weighted[-1] * below / total - weighted) ** 2 / np.where(parted, parted, np.inf)
    best = int(np.argmax(between))
    variance = float((counts * (middle - weighted[-1] / total) ** 2).sum()) / total
    return float(edges[best + 1]), float(between[best] / max(variance, 1e-12))


def without_plate(body: np.ndarray, inside: np.ndarray) -> np.ndarray:
    """``body`` (z, y, x) without a floor plate and what is below it: layers that fill the field and end all at once."""
    area = inside.sum(axis=(1, 2)).max()
    filled = body.sum(axis=(1, 2)).astype(float)
    reach = round(_PLATE_WITHIN / STEP)
    drop = filled[:-reach] - filled[reach:] if len(filled) > reach else np.zeros(0)
    ends = np.flatnonzero(drop > _PLATE_DROP * area)
    ends = ends[ends < len(filled) / 2]
    if not len(ends):
        return body
    # The first layer above the plate: where the count has come down to what goes on above.
    above = filled[ends[-1] + reach]
    top = ends[-1] + int(np.flatnonzero(filled[ends[-1] : ends[-1] + reach + 1] <= above + 0.25 * drop[ends[-1]])[0])
    cleared = body.copy()
    cleared[:top] = False
    return cleared
