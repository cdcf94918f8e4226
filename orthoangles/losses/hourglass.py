"""Losses of the hourglass networks of S0 (ends of segments) and S1 (heatmap in heatmap)."""

import math
from typing import Literal, get_args

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from orthoangles.networks import hih, hourglass
from orthoangles.segments import segment_ends, to_grid

Mode = Literal["paper", "fixed"]
Terms = tuple[Tensor, dict[str, Tensor]]


def gaussian_maps(centres: Tensor, sigma: float, shape: tuple[int, int]) -> Tensor:
    """Gaussians of height one: (..., 2) centres (x, y) and ``sigma`` in cells -> (..., rows, columns).

    Cell (i, j) stands at (j, i); centres may lie between the cells or off the map. NaN centres give NaN maps.
    """
    x, y = (centres[..., None, k] - torch.arange(shape[1 - k], device=centres.device) for k in (0, 1))
    gain_x, gain_y = (torch.exp(-(d**2) / (2 * sigma**2)) for d in (x, y))
    return gain_y[..., :, None] * gain_x[..., None, :]


def _seen(points: Tensor) -> Tensor:
    """(b, k) true where a point (b, k, 2) is given."""
    return points.isfinite().all(-1)


class KeypointLoss(nn.Module):
    """Binary cross-entropy of the maps of both ends of every bone against Gaussians (S0's keypoint network).

    ``sigma`` in cells; S0: 4 on maps of 256 x 128, so half of it on maps of half the size. Bones with a missing end
    keep the map of the other one.
    """

    def __init__(self, sigma: float = 4.0) -> None:
        super().__init__()
        self.sigma = sigma

    def forward(self, output: Tensor, targets: Tensor) -> Terms:
        """Logits (b, 2 n, h, w) and the handles (b, 5 n, 2) of n bones, base first, in input pixels, NaN = missing."""
        ends = segment_ends(targets).flatten(1, 2)
        seen = _seen(ends)
        maps = gaussian_maps(to_grid(ends[seen], hourglass.STRIDE), self.sigma, output.shape[-2:])
        # A sum over nothing stays in the graph, so that a batch without a point gives a loss of 0.
        entropy = F.binary_cross_entropy_with_logits(output[seen].float(), maps, reduction="none").mean((1, 2))
        total = entropy.sum() / seen.sum().clamp(min=1)
        return total, {"ends": total}


class HIHLoss(nn.Module):
    """Squared error of all integer maps and a divergence of the decimal maps.

    Args:
        mode: ``paper``: decimal Gaussian at round(n * fraction), which for the last eighth of a cell lies off the map,
            and the divergence of the softmax of both maps (the target's is nearly uniform); all errors are means over
            map elements. ``fixed``: Gaussian at floor(n * fraction), normalised to sum one, and cross-entropy; errors
            are per map, the squared one in units of what an empty map costs, so that the two terms keep their balance
            on maps of every size.
        decimal_weight: factor of the decimal term.
        sigma: of the Gaussians on the integer map, in its cells.
        decimal_sigma: of those on the decimal map, in its cells.

    Both modes put the integer Gaussian on the centre of the cell that holds the point, see
    :mod:`orthoangles.networks.hih`. (S1's code shifts those within 3 sigma of the upper or left edge by up to a cell.)
    """

    def __init__(
        self,
        mode: Mode = "fixed",
        decimal_weight: float = 0.05,
        sigma: float = 1.5,
        decimal_sigma: float = 1.0,
    ) -> None:
        super().__init__()
        if mode not in get_args(Mode):
            raise ValueError(f"mode is '{mode}', expected one of {', '.join(get_args(Mode))}")
        self.mode, self.decimal_weight = mode, decimal_weight
        self.sigma, self.decimal_sigma = sigma, decimal_sigma

    def forward(self, output: tuple[list[Tensor] | Tensor, Tensor], targets: Tensor) -> Terms:
        """Output of a ``HeatmapInHeatmap`` in either mode, and (b, k, 2) points in input pixels, NaN = missing."""
        integer, decimal = output
        maps = torch.stack(integer if isinstance(integer, list) else [integer], 2)
        seen = _seen(targets)
        cells, fraction = cells_and_fraction(targets[seen], maps.shape[-2:])
        heatmaps = self._heatmaps(maps[seen].float(), cells)
        decimals = self._decimals(decimal[seen].float(), fraction)
        count = seen.sum().clamp(min=1)
        terms = {"heatmaps": heatmaps.sum() / count, "decimals": decimals.sum() / count}
        return terms["heatmaps"] + self.decimal_weight * terms["decimals"], terms

    def _heatmaps(self, maps: Tensor, cells: Tensor) -> Tensor:
        """Error (m,) of maps (m, outputs, h, w)."""
        error = (maps - gaussian_maps(cells, self.sigma, maps.shape[-2:])[:, None]) ** 2
        if self.mode == "paper":
            return error.mean((1, 2, 3))
        # The integral of the square of a Gaussian of height one is pi sigma^2.
        return error.sum((2, 3)).mean(1) / (math.pi * self.sigma**2)

    def _decimals(self, maps: Tensor, fraction: Tensor) -> Tensor:
        """Error (m,) of maps (m, n, n)."""
        n = maps.shape[-1]
        found = maps.flatten(1).log_softmax(1)
        if self.mode == "paper":
            target = gaussian_maps((n * fraction).round(), self.decimal_sigma, (n, n)).flatten(1).softmax(1)
            return F.kl_div(found, target, reduction="none").mean(1)
        target = gaussian_maps((n * fraction).floor(), self.decimal_sigma, (n, n)).flatten(1)
        return -(target / target.sum(1, keepdim=True) * found).sum(1)


def cells_and_fraction(points: Tensor, shape: tuple[int, int]) -> tuple[Tensor, Tensor]:
    """(..., 2) input pixels -> whole cells (x, y) of a map of ``shape`` and the fraction 0 <= f < 1 inside them.

    Points beyond the map count as on its edge.
    """
    edges = to_grid(points, hih.STRIDE) + 0.5
    cells = edges.floor().clamp(min=0).minimum(torch.tensor([shape[1], shape[0]], device=points.device) - 1)
    return cells, (edges - cells).clamp(0, 1 - 1e-4)
