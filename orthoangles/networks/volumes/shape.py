"""Where the landmarks of a foot lie to each other: enough to tell a wrong place from a deformed foot."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

_FEWEST = 6
"""With fewer landmarks than this no foot can be laid over them and still leave room for a doubt."""

_SOFT = 12.0
"""Distance in mm from where it is expected at which a landmark counts half in laying the foot over the others."""


class FootShape(NamedTuple):
    """``mean`` (k, 3) mm of a right foot in canonical axes; ``reach`` (k,) mm: how far from it a landmark may lie."""

    mean: np.ndarray
    reach: np.ndarray

    @classmethod
    def of(cls, mean: Sequence[Sequence[float]], reach: Sequence[float]) -> "FootShape":
        """From lists, as a config has them."""
        return cls(np.asarray(mean, dtype=np.float64), np.asarray(reach, dtype=np.float64))

    def expected(self, points: np.ndarray) -> np.ndarray | None:
        """Where each landmark lies in a foot of this shape laid over ``points`` (k, 3), NaN where missing; (k, 3).

        Turned, scaled and moved to fit, so that a few points that are far off do not count. None with too few points.
        """
        known = np.isfinite(points).all(axis=1)
        if known.sum() < _FEWEST:
            return None
        weights = np.ones(known.sum())
        for _ in range(15):
            placed = laid_over(self.mean[known], points[known], weights, self.mean)
            away = np.linalg.norm(points[known] - placed[known], axis=1)
            weights = 1 / (1 + (away / _SOFT) ** 2) ** 2
        return placed

    def strays(self, points: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Which of ``points`` (k, 3) lie too far from their place (k,), and where that is (k, 3), NaN if not known."""
        placed = self.expected(points)
        if placed is None:
            return np.zeros(len(points), dtype=bool), np.full(points.shape, np.nan)
        return np.linalg.norm(points - placed, axis=1) > self.reach, placed


def laid_over(source: np.ndarray, target: np.ndarray, weights: np.ndarray, moved: np.ndarray) -> np.ndarray:
    """``moved`` (m, 3) by the similarity that takes ``source`` (n, 3) to ``target`` with least squares.

    The solution is Umeyama's (IEEE TPAMI 1991), with weights (n,); no reflection.
    """
    share = weights / weights.sum()
    a, b = share @ source, share @ target
    u, values, vt = np.linalg.svd((target - b).T @ ((source - a) * share[:, None]))
    signs = np.array([1.0, 1.0, np.sign(np.linalg.det(u @ vt))])
    rotation = (u * signs) @ vt
    scale = (values @ signs) / (share @ ((source - a) ** 2).sum(axis=1))
    return scale * (moved - a) @ rotation.T + b
