"""Lines and angles in 2D and 3D, vectorised with numpy.

Angles are in degrees, lengths in the unit of the points.
"""

import math
from collections.abc import Callable
from functools import lru_cache
from typing import NamedTuple

import numpy as np


class RobustLoss(NamedTuple):
    """A loss of u = distance / (``tuning`` * scale): ``weight`` (IRLS) and ``loss``, both functions of u squared.

    ``tuning`` gives 95 % efficiency on normal residuals of unit scale where the loss has such a constant, and the
    values of OpenCV's distances of the same names throughout.
    """

    tuning: float
    weight: Callable[[np.ndarray], np.ndarray]
    loss: Callable[[np.ndarray], np.ndarray]


ROBUST_LOSSES = {
    "l2": RobustLoss(1.0, np.ones_like, lambda u2: u2),
    "l1": RobustLoss(1.0, lambda u2: 1 / np.sqrt(np.maximum(u2, 1e-12)), np.sqrt),
    "l1-l2": RobustLoss(np.sqrt(2.0), lambda u2: 1 / np.sqrt(1 + u2), lambda u2: np.sqrt(1 + u2) - 1),
    "fair": RobustLoss(1.3998, lambda u2: 1 / (1 + np.sqrt(u2)), lambda u2: np.sqrt(u2) - np.log1p(np.sqrt(u2))),
    "huber": RobustLoss(
        1.345,
        lambda u2: 1 / np.sqrt(np.maximum(u2, 1)),
        lambda u2: np.where(u2 < 1, u2 / 2, np.sqrt(u2) - 0.5),
    ),
    "welsch": RobustLoss(2.9846, lambda u2: np.exp(-u2), lambda u2: -np.expm1(-u2)),
}
"""Holland and Welsch, Commun. Stat. Theory Methods 1977; 6: 813 (Fair, Huber, Welsch and their constants)."""

_STARTS = 28
_SCOUTING = 6
_ITERATIONS = 100
_TOLERANCE = 1e-9


class LineFit(NamedTuple):
    """A fitted line: a point on it (d,), its unit direction (d,) and the weight (n,) of each point in 0..1."""

    centre: np.ndarray
    direction: np.ndarray
    weights: np.ndarray


def total_least_squares_line(points: np.ndarray, weights: np.ndarray | None = None) -> LineFit:
    """Line of least squared orthogonal distances from points (n, d): their weighted principal axis.

    The sign of the direction is free. ValueError: fewer than two points, or all at one place.
    """
    points = _checked_points(points)
    weights = np.ones(len(points)) if weights is None else np.asarray(weights, dtype=np.float64)
    centre = weights @ points / weights.sum()
    offsets = points - centre
    values, vectors = np.linalg.eigh((offsets * weights[:, None]).T @ offsets)
    if not values[-1] > 0:
        raise ValueError("a line needs points at two different places")
    return LineFit(centre, vectors[:, -1], weights)


def welsch_line_fit(
    points: np.ndarray,
    *,
    scale: float = 1.0,
    weights: np.ndarray | None = None,
    starts: int = _STARTS,
    seed: int = 0,
) -> LineFit:
    """Robust line through points (n, d) that outliers do not bend.

    Total least squares with Welsch weights exp(-(distance / (2.9846 scale))^2): :func:`robust_line_fit` with the loss
    ``welsch``; arguments, result and errors are described there.
    """
    return robust_line_fit(points, "welsch", scale, weights=weights, starts=starts, seed=seed)


def robust_line_fit(
    points: np.ndarray,
    loss: str = "welsch",
    scale: float = 1.0,
    *,
    weights: np.ndarray | None = None,
    starts: int = _STARTS,
    seed: int = 0,
) -> LineFit:
    """Line through points (n, d) that minimises the sum of a robust loss of the orthogonal distances.

    Total least squares, reweighted again and again (IRLS) from several starts: the line through all points, and lines
    through pairs of them (all pairs of a few points, else random ones). A few rounds tell which start leads to the
    smallest loss; that one is followed to its end. OpenCV's fitLine keeps the smallest sum of distances instead,
    whatever the loss, and outliers win.

    Args:
        points: (n, 2) or (n, 3), n >= 2.
        loss: one of :data:`ROBUST_LOSSES`.
        scale: noise (1 sigma) of a good point's distance from the line.
        weights: (n,) positive, how much each point's loss counts; all the same where not given.
        starts: number of pairs tried.
        seed: of the random pairs; the same points give the same line.

    Returns:
        The fit; the direction runs with the order of the points, from the first towards the last. Its weights are
        those of the loss, without ``weights``.

    Raises:
        ValueError: fewer than two points, all at one place, a coordinate that is not finite, scale <= 0, or weights
            that are not positive.
        KeyError: an unknown loss.
    """
    points = _checked_points(points)
    if not scale > 0:
        raise ValueError(f"scale is {scale}, expected a positive length")
    if weights is not None and not (np.asarray(weights) > 0).all():
        raise ValueError("weights are not all positive")
    # Around their mean and in units of the loss's width: moments of second order then lose no digits.
    width = ROBUST_LOSSES[loss].tuning * scale
    middle = points.mean(axis=0)
    search = _Reweighting((points - middle) / width, ROBUST_LOSSES[loss], weights)
    fit = search.run(starts, seed)
    return _oriented(fit._replace(centre=middle + width * fit.centre), points)


class _Reweighting:
    """IRLS for k lines at once through ``points`` (n, d), whose mean is 0 and whose unit is the width of ``loss``."""

    def __init__(self, points: np.ndarray, loss: RobustLoss, weights: np.ndarray | None) -> None:
        self.points, self._loss = points, loss
        self._count = np.ones(len(points)) if weights is None else np.asarray(weights, dtype=np.float64)
        n, d = points.shape
        # Moments of weighted points and squared distances from lines are both linear in these.
        self._products = np.empty((n, 1 + d + d * d))
        self._products[:, 0] = 1
        self._products[:, 1 : d + 1] = points
        np.multiply(points[:, :, None], points[:, None], out=self._products[:, d + 1 :].reshape(n, d, d))
        self._moments = self._count[:, None] * self._products
        self._identity = np.eye(d)

    def run(self, starts: int, seed: int) -> LineFit:
        """From the line through all points and from lines through pairs of points to the one of least loss."""
        squared = self._squared(*self._starting_lines(starts, seed))
        for _ in range(_SCOUTING):
            squared = self._squared(*self._lines(self._weights(squared)))
        best = int((self._loss.loss(squared) @ self._count).argmin())
        weights = self._weights(squared[[best]])
        for _ in range(_ITERATIONS):
            previous = weights
            centres, directions = self._lines(weights)
            weights = self._weights(self._squared(centres, directions))
            if np.abs(weights - previous).max() < _TOLERANCE:
                break
        return LineFit(centres[0], directions[0], weights[0])

    def _starting_lines(self, starts: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
        first, second = _pairs(len(self.points), starts, seed)
        directions = self.points[second] - self.points[first]
        lengths = np.sqrt((directions**2).sum(axis=1))
        apart = lengths > 0
        centre, direction = self._lines(np.ones((1, len(self.points))))
        return (
            np.concatenate([centre, self.points[first[apart]]]),
            np.concatenate([direction, directions[apart] / lengths[apart, None]]),
        )

    def _weights(self, squared: np.ndarray) -> np.ndarray:
        # A line far from all points keeps a trace of each, so that nothing is divided by zero.
        return np.maximum(self._loss.weight(squared), 1e-12)

    def _lines(self, weights: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Means and principal directions (k, d) for weights (k, n)."""
        d = self.points.shape[1]
        moments = weights @ self._moments
        moments /= moments[:, :1]
        centres = moments[:, 1 : d + 1]
        covariances = moments[:, d + 1 :].reshape(-1, d, d) - centres[:, :, None] * centres[:, None]
        return centres, np.linalg.eigh(covariances)[1][:, :, -1]

    def _squared(self, centres: np.ndarray, directions: np.ndarray) -> np.ndarray:
        """Squared distances (k, n) of the points from lines (k, d)."""
        k, d = directions.shape
        across = self._identity - directions[:, :, None] * directions[:, None]
        offsets = (across @ centres[:, :, None])[:, :, 0]
        constants = (offsets * centres).sum(axis=1, keepdims=True)
        forms = np.concatenate([constants, -2 * offsets, across.reshape(k, d * d)], axis=1)
        return np.maximum(forms @ self._products.T, 0.0)


def _checked_points(points: np.ndarray) -> np.ndarray:
    points = np.asarray(points, dtype=np.float64)
    if points.ndim != 2 or len(points) < 2:
        raise ValueError(f"points have shape {points.shape}, expected (n, 2) or (n, 3) with two points or more")
    if not np.isfinite(points).all():
        raise ValueError("points are not all finite")
    if not (points != points[0]).any():
        raise ValueError("a line needs points at two different places")
    return points


@lru_cache(maxsize=128)
def _pairs(n: int, starts: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """All pairs of n points where there are no more than ``starts``, else random ones."""
    if n * (n - 1) // 2 <= starts:
        return np.triu_indices(n, 1)
    rng = np.random.default_rng(seed)
    first = rng.integers(n, size=starts)
    return first, (first + rng.integers(1, n, size=starts)) % n


def _oriented(fit: LineFit, points: np.ndarray) -> LineFit:
    """Direction turned so that position along the line grows with the order of the points."""
    order = np.arange(len(points)) - (len(points) - 1) / 2
    along = (fit.weights * order) @ ((points - fit.centre) @ fit.direction)
    return fit if along >= 0 else fit._replace(direction=-fit.direction)


def length(vector: np.ndarray) -> float:
    """Of one vector (d,): a tenth of the time of ``numpy.linalg.norm``, which counts when a landmark is dragged."""
    return math.sqrt(vector.dot(vector))


def cross_product(u: np.ndarray, v: np.ndarray) -> np.ndarray:
    """U x v of two vectors (3,), likewise fast."""
    (a, b, c), (d, e, f) = u.tolist(), v.tolist()
    return np.array([b * f - c * e, c * d - a * f, a * e - b * d])


def triple_product(u: np.ndarray, v: np.ndarray, w: np.ndarray) -> float:
    """(u x v) . w of three vectors (3,), likewise fast."""
    (a, b, c), (d, e, f), (x, y, z) = u.tolist(), v.tolist(), w.tolist()
    return (b * f - c * e) * x + (c * d - a * f) * y + (a * e - b * d) * z


def signed_angle(u: np.ndarray, v: np.ndarray, normal: np.ndarray | None = None) -> np.ndarray | float:
    """Angle in degrees, -180 to 180, that turns ``u`` (..., d) into ``v`` (..., d).

    In 2D (x to the right, y down) a clockwise turn as seen in the image is positive. In 3D ``normal`` (3,) is
    needed: both vectors are projected along it first, and the turn is right-handed about it.
    """
    u, v = np.asarray(u, dtype=np.float64), np.asarray(v, dtype=np.float64)
    if u.shape[-1] == 2:
        sine, cosine = u[..., 0] * v[..., 1] - u[..., 1] * v[..., 0], (u * v).sum(axis=-1)
    else:
        if normal is None:
            raise ValueError("an angle in space has no sign without the normal of a plane")
        n = np.asarray(normal, dtype=np.float64)
        n = n / length(n)
        if u.ndim == v.ndim == 1:
            u, v = u - (u @ n) * n, v - (v @ n) * n
            return math.degrees(math.atan2(triple_product(u, v, n), u @ v))
        u, v = project(u, n), project(v, n)
        sine, cosine = np.cross(u, v) @ n, (u * v).sum(axis=-1)
    return np.degrees(np.arctan2(sine, cosine))


def angle_between(u: np.ndarray, v: np.ndarray) -> np.ndarray | float:
    """Angle in degrees, 0 to 180, between directed vectors (..., d); exact for nearly parallel ones too."""
    u, v = np.asarray(u, dtype=np.float64), np.asarray(v, dtype=np.float64)
    if u.ndim == v.ndim == 1:
        across = cross_product(u, v) if len(u) == 3 else np.array([u[0] * v[1] - u[1] * v[0]])
        sine, cosine = length(across), u.dot(v)
        return math.degrees(math.atan2(sine, cosine)) if sine or cosine else math.nan
    u = u / np.linalg.norm(u, axis=-1, keepdims=True)
    v = v / np.linalg.norm(v, axis=-1, keepdims=True)
    return np.degrees(2 * np.arctan2(np.linalg.norm(u - v, axis=-1), np.linalg.norm(u + v, axis=-1)))


def angle_between_lines(u: np.ndarray, v: np.ndarray) -> np.ndarray | float:
    """Angle in degrees, 0 to 90, between undirected lines of directions (..., d)."""
    angle = angle_between(u, v)
    return np.minimum(angle, 180.0 - angle)


def project(vectors: np.ndarray, normal: np.ndarray) -> np.ndarray:
    """Vectors (..., 3) without their part along the unit vector ``normal`` (3,)."""
    vectors = np.asarray(vectors, dtype=np.float64)
    if vectors.ndim == 1:
        return vectors - (vectors @ normal) * normal
    return vectors - (vectors @ normal)[..., None] * normal
