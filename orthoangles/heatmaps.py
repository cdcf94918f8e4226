"""Targets on the output grid and their decoding: centre heatmaps, offsets, polygon masks, peaks.

Grid coordinates: cell (i, j) stands at grid point (j, i) = (x, y); one cell is ``STRIDE`` input pixels.
"""

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

RING = (0, 1, 3, 2)
"""Order that walks TL, TR, BR, BL around a vertebra stored as TL, TR, BL, BR; the stored order is a bow-tie."""


def gaussian_radius(size: Tensor, overlap: float = 0.7) -> Tensor:
    """Radius in cells by which both corners of a box may move while the overlap (IoU) stays at least ``overlap``.

    ``size`` is (..., 2) width and height in cells; the result (...) is the smallest of the three cases of Law and
    Deng (CornerNet, ECCV 2018), with their quadratic equations solved for the smaller root.
    """
    w, h = size.unbind(-1)
    perimeter, area = w + h, w * h
    outside_inside = _smaller_root(torch.ones_like(w), perimeter, area * (1 - overlap) / (1 + overlap))
    inside = _smaller_root(torch.full_like(w, 4.0), 2 * perimeter, (1 - overlap) * area)
    a = torch.full_like(w, 4.0 * overlap)
    b = 2.0 * overlap * perimeter
    outside = ((b * b + 4 * a * (1 - overlap) * area).clamp(min=0).sqrt() - b) / (2 * a)
    return torch.stack([outside_inside, inside, outside]).amin(0).clamp(min=0)


def _smaller_root(a: Tensor, b: Tensor, c: Tensor) -> Tensor:
    return (b - (b * b - 4 * a * c).clamp(min=0).sqrt()) / (2 * a)


def centre_heatmap(centres: Tensor, sigma: Tensor, shape: tuple[int, int]) -> Tensor:
    """Peak-one Gaussians at the cells of ``centres``, merged by maximum.

    ``centres`` (..., n, 2) and ``sigma`` (..., n) in cells; the result is (..., 1, rows, columns). Each Gaussian
    stands on the integer cell, so that every vertebra has a cell with exactly one; vertebrae off the grid add nothing.
    """
    cells = centres.floor()
    y = torch.arange(shape[0], device=centres.device)
    x = torch.arange(shape[1], device=centres.device)
    dy = (y - cells[..., 1, None])[..., :, None]
    dx = (x - cells[..., 0, None])[..., None, :]
    maps = torch.exp(-(dx**2 + dy**2) / (2 * sigma[..., None, None] ** 2))
    return maps.amax(-3, keepdim=True)


def polygon_mask(corners: Tensor, shape: tuple[int, int]) -> Tensor:
    """Union of filled vertebrae: (..., n, 4, 2) corners TL, TR, BL, BR in cells -> (..., 1, rows, columns) of 0 and 1.

    A cell belongs to a convex quadrilateral if it lies on one side of all four edges, walked in ring order.
    """
    ring = corners[..., RING, :]
    edges = ring.roll(-1, -2) - ring
    y = torch.arange(shape[0], device=corners.device, dtype=corners.dtype)[:, None]
    x = torch.arange(shape[1], device=corners.device, dtype=corners.dtype)
    side = [
        edges[..., k, 0, None, None] * (y - ring[..., k, 1, None, None])
        - edges[..., k, 1, None, None] * (x - ring[..., k, 0, None, None])
        for k in range(4)
    ]
    sides = torch.stack(side)
    inside = (sides >= 0).all(0) | (sides <= 0).all(0)
    return inside.any(-3, keepdim=True).to(corners.dtype)


@dataclass(frozen=True)
class Peaks:
    """Decoded vertebrae of one image, most superior first; coordinates (x, y) in cells.

    ``centres`` (n, 2), ``corners`` (n, 4, 2) TL, TR, BL, BR, ``confidence`` (n,), ``spread`` (n, 4) Laplace scale.
    """

    centres: Tensor
    corners: Tensor
    confidence: Tensor
    spread: Tensor


def decode_peaks(maps: dict[str, Tensor], count: int, threshold: float = 0.1, reach: int = 1) -> Peaks:
    """The ``count`` strongest peaks of the centre heatmap with their corners, sorted from top to bottom.

    ``maps`` are the branches of one image, each (channels, rows, columns). A peak is the maximum of its 3 x 3
    neighbourhood and at least ``threshold``; its centre and corners are means over the cells within ``reach``,
    weighted by the heatmap, which were all trained to point at the same vertebra (``reach`` 0 is S3's decoding).
    """
    heat = maps["centre"].sigmoid()[0]
    peaks = torch.where(heat == F.max_pool2d(heat[None, None], 3, 1, 1)[0, 0], heat, 0.0)
    confidence, flat = peaks.flatten().topk(min(count, peaks.numel()))
    found = confidence >= threshold
    confidence, flat = confidence[found], flat[found]
    row, column = flat // heat.shape[1], flat % heat.shape[1]

    step = torch.arange(-reach, reach + 1, device=heat.device)
    dy, dx = (d.flatten() for d in torch.meshgrid(step, step, indexing="ij"))
    ys = (row[:, None] + dy).clamp(0, heat.shape[0] - 1)
    xs = (column[:, None] + dx).clamp(0, heat.shape[1] - 1)
    weight = heat[ys, xs]
    weight = weight / weight.sum(1, keepdim=True)
    cell = torch.stack([xs, ys], -1).to(heat.dtype)
    centre = cell + maps["offset"][:, ys, xs].permute(1, 2, 0)
    vectors = maps["corners"][:, ys, xs].permute(1, 2, 0).unflatten(-1, (4, 2))
    centres = (weight[..., None] * centre).sum(1)
    corners = (weight[..., None, None] * (centre[:, :, None] - vectors)).sum(1)
    spread = (weight[..., None] * maps["spread"][:, ys, xs].permute(1, 2, 0).exp()).sum(1)
    order = centres[:, 1].argsort()
    return Peaks(centres[order], corners[order], confidence[order], spread[order])
