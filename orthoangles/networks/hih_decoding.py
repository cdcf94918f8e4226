"""HIH's two maps of a landmark -> its place in the image."""

from typing import Literal, get_args

import numpy as np
import torch
from torch import Tensor

from orthoangles.networks.decoding import DecodedPoints
from orthoangles.networks.hih import STRIDE
from orthoangles.networks.hourglass import doubts
from orthoangles.segments import to_pixels

Mode = Literal["fixed", "mean", "official", "published"]


class HIHDecoder:
    """Strongest cell of the integer map, and in it the place that the decimal map tells.

    Args:
        mode: where in its cell a point lies, in cells from its near edge; d is the strongest of n x n decimal cells.
            ``fixed``: (d + 0.5) / n, for networks trained by ``HIHLoss("fixed")``. ``mean``: the mean of the decimal
            map's softmax in place of d, freed of its shrinkage, for the same networks; where the map is undecided the
            point stays near the middle of its cell. ``official``: d / n, as HIH's authors decode, for
            ``HIHLoss("paper")``. ``published``: 0.5 + d / N with N the cells of the integer map's longer side, as S1's
            code has it: there the decimal map moves a point by less than 0.03 cells and hardly matters.
        threshold: lowest value of the integer map (its target peaks at 1) at which a landmark counts as found.
        doubtful: below this a landmark is counted in a warning.
        decimal_sigma: of the Gaussians that the decimal map was trained on, in its cells; ``mean`` alone uses it.

    Confidence is the value of the integer map, at most 1. The maps tell no spread: the width of a peak is that of its
    target.
    """

    def __init__(
        self,
        mode: Mode = "fixed",
        threshold: float = 0.05,
        doubtful: float = 0.25,
        decimal_sigma: float = 1.0,
    ) -> None:
        if mode not in get_args(Mode):
            raise ValueError(f"mode is '{mode}', expected one of {', '.join(get_args(Mode))}")
        self.mode, self.threshold, self.doubtful, self.decimal_sigma = mode, threshold, doubtful, decimal_sigma

    def __call__(self, output: tuple[Tensor, Tensor]) -> DecodedPoints:
        """``output``: integer maps (k, h, w) and decimal maps (k, n, n) of one image."""
        integer, decimal = output
        peak, cells = _strongest(integer)
        # A cell's near edge lies half a cell before its centre.
        points = to_pixels(cells - 0.5 + self._fraction(decimal, max(integer.shape[-2:])), STRIDE)
        found = peak >= self.threshold
        points[~found] = np.nan
        return DecodedPoints(
            points=points,
            confidence=np.where(found, np.minimum(peak, 1.0), 0.0),
            spread=np.full(len(points), np.nan),
            warnings=doubts(found, peak, self.doubtful, "landmarks"),
        )

    def _fraction(self, decimal: Tensor, side: int) -> np.ndarray:
        """Where in its cell each point lies (k, 2), from the cell's near edge, in cells."""
        n = decimal.shape[-1]
        if self.mode == "mean":
            return (_mean_cell(decimal, self.decimal_sigma) + 0.5) / n
        _, bins = _strongest(decimal)
        return {"fixed": (bins + 0.5) / n, "official": bins / n, "published": 0.5 + bins / side}[self.mode]


def _mean_cell(decimal: Tensor, sigma: float) -> np.ndarray:
    """Mean cells (k, 2), as (x, y), of the softmax of decimal maps (k, n, n), as if nothing lay beyond the map.

    A Gaussian is cut off by the border of the map, so that its mean lies further inside than its cell: the means of
    all n targets are known, and a mean between two of them stands for a place between their cells.
    """
    n = decimal.shape[-1]
    cells = np.arange(n)
    probability = decimal.double().cpu().flatten(1).softmax(1).reshape(decimal.shape).numpy()
    targets = np.exp(-((cells - cells[:, None]) ** 2) / (2 * sigma**2))
    means = np.stack([probability.sum(axis) @ cells for axis in (1, 2)], -1)
    return np.interp(means, targets @ cells / targets.sum(1), cells)


def _strongest(maps: Tensor) -> tuple[np.ndarray, np.ndarray]:
    """Of every map (k, h, w): its highest value (k,) and the cell (k, 2), as (x, y), that has it; both float64."""
    peak, flat = maps.float().cpu().flatten(1).max(1)
    cells = torch.stack([flat % maps.shape[-1], flat // maps.shape[-1]], -1)
    return peak.double().numpy(), cells.double().numpy()
