"""The grids on which the networks see a foot: canonical space, HU mapped to grey, 0.75 mm and 3 mm.

Canonical space is LPS for a right foot and LPS mirrored along x for a left one, in mm: every foot looks like a right
one, and toes point to -y.
"""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

FINE = 0.75
"""Voxels of the working volume and of the fine network, mm."""

POOLED = 4
COARSE = POOLED * FINE
"""Voxels of the coarse network, mm: each the mean of 4 x 4 x 4 of the working volume."""

LOWEST, RANGE = -400.0, 2000.0
"""HU that is black, and HU from there to white: fat and muscle stay apart, compact bone is below white."""

AIR = -0.5
"""Grey of everything outside the volume, as the networks see it."""

_SLAB = 32


class VolumeView(NamedTuple):
    """One foot in a volume.

    ``array`` (slices, rows, columns) HU of any real type; ``to_index`` (4, 4) from canonical mm to (column, row, slice)
    of the array; ``low`` and ``high`` (3,) canonical mm, corners of the box to search.
    """

    array: np.ndarray
    to_index: np.ndarray
    low: np.ndarray
    high: np.ndarray


class WorkingVolume(NamedTuple):
    """``grey`` (z, y, x) 0..1 in voxels of ``FINE`` mm along canonical axes; ``origin`` (3,) mm of the first."""

    grey: Tensor
    origin: np.ndarray


def as_grey(hu: Tensor) -> Tensor:
    """HU to 0..1."""
    return ((hu - LOWEST) / RANGE).clamp(0, 1)


def as_input(grey: Tensor) -> Tensor:
    """Grey 0..1 to what the networks take, -0.5..0.5."""
    return grey - 0.5


def working_volume(view: VolumeView, progress: Callable[[float], None] = lambda share: None) -> WorkingVolume:
    """The box of ``view`` on the grid of 0.75 mm; black outside the array.

    Voxels smaller than that are averaged first over as many as fit, so that noise does not come through. ``progress``
    is told the share done, 0 to 1.
    """
    size = np.maximum(np.floor((view.high - view.low) / FINE).astype(int) + 1, 1)
    part, corner, widths = _smoothed_part(view)
    # From voxels (x, y, z) of the working grid to the part's, then to the -1..1 of grid_sample.
    to_part = view.to_index[:3, :3] * FINE
    start = view.to_index[:3, :3] @ view.low + view.to_index[:3, 3] - corner - (np.array(widths) - 1) / 2
    shape = np.array(part.shape[::-1], dtype=float)
    matrix = torch.from_numpy(2 * to_part / shape[:, None]).float()
    offset = torch.from_numpy((2 * start + 1) / shape - 1).float()
    grey = torch.empty(tuple(size[::-1].tolist()))
    y, x = torch.meshgrid(torch.arange(size[1]).float(), torch.arange(size[0]).float(), indexing="ij")
    plane = x[..., None] * matrix[:, 0] + y[..., None] * matrix[:, 1] + offset
    for first in range(0, size[2], _SLAB):
        progress(0.2 + 0.8 * first / size[2])
        z = torch.arange(first, min(first + _SLAB, size[2])).float()
        places = plane + (z[:, None] * matrix[:, 2])[:, None, None]
        slab = F.grid_sample(part[None, None], places[None], padding_mode="zeros", align_corners=False)
        grey[first : first + len(z)] = slab[0, 0]
    return WorkingVolume(grey, np.asarray(view.low, dtype=np.float64))


def _smoothed_part(view: VolumeView) -> tuple[Tensor, np.ndarray, list[int]]:
    """Grey of the array's part that the box meets, where it starts (column, row, slice), and how many voxels along each
    axis a mean spans.
    """
    corners = np.array([[a, b, c] for a in (0, 1) for b in (0, 1) for c in (0, 1)])
    box = np.where(corners, view.high, view.low) @ view.to_index[:3, :3].T + view.to_index[:3, 3]
    limit = np.array(view.array.shape[::-1])
    first = np.clip(np.floor(box.min(0)).astype(int) - 2, 0, limit - 1)
    last = np.clip(np.ceil(box.max(0)).astype(int) + 3, first + 1, limit)
    (i0, j0, k0), (i1, j1, k1) = first, last
    values = np.ascontiguousarray(view.array[k0:k1, j0:j1, i0:i1], dtype=np.float32)
    part = as_grey(torch.from_numpy(values))
    spacing = 1 / np.linalg.norm(view.to_index[:3, :3], axis=1)
    widths = [min(max(1, round(FINE / s)), n) for s, n in zip(spacing, part.shape[::-1], strict=True)]
    if max(widths) > 1:
        part = F.avg_pool3d(part[None, None], tuple(reversed(widths)), stride=1)[0, 0]
    return part, first.astype(float), widths


def coarse_grey(grey: Tensor) -> Tensor:
    """(z, y, x) at 0.75 mm to 3 mm; what is left over at the ends is dropped.

    Voxel i stands at voxel 4 i + 1.5 of the working volume.
    """
    short = [max(0, POOLED - n) for n in reversed(grey.shape)]
    if any(short):
        grey = F.pad(grey, [part for n in short for part in (0, n)])
    return F.avg_pool3d(grey[None, None], POOLED)[0, 0]
