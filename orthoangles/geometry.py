"""Lines and angles in 2D and 3D, vectorised with numpy.

Angles are in degrees, lengths in the unit of the points.
"""

from typing import NamedTuple

import numpy as np

# Tuning constant of Welsch's weight for unit noise: 95 % efficiency on normal residuals (Holland and Welsch
# 1977), the value of OpenCV's DIST_WELSCH.
WELSCH_C = 2.9846

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
    centres, directions, spread = _principal_axes(points, weights[None])
    if not spread[0] > 0:
        raise ValueError("a line needs points at two different places")
    return LineFit(centres[0], directions[0], weights)


def welsch_line_fit(points: np.ndarray, *, scale: float = 1.0, starts: int = _STARTS, seed: int = 0) -> LineFit:
    """Robust line through points (n, d) that outliers do not bend.

    Total least squares with Welsch weights exp(-(distance / (2.9846 scale))^2), reweighted again and again
    (IRLS) from several starts: the line through all points, and lines through pairs of them (all pairs of a few
    points, else random ones). A few rounds tell which start leads to the smallest Welsch loss; that one is
    followed to its end. OpenCV's fitLine keeps the smallest sum of distances instead, and outliers win.

    Args:
        points: (n, 2) or (n, 3), n >= 2.
        scale: noise (1 sigma) of a good point's distance from the line.
        starts: number of pairs tried.
        seed: of the random pairs; the same points give the same line.

    Returns:
        The fit; the direction runs with the order of the points, from the first towards the last.

    Raises:
        ValueError: fewer than two points, all at one place, a coordinate that is not finite, or scale <= 0.
    """
    points = _checked_points(points)
    if not scale > 0:
        raise ValueError(f"scale is {scale}, expected a positive length")
    first = total_least_squares_line(points)
    if len(points) == 2:
        return _oriented(first, points)
    width = WELSCH_C * scale
    centres, directions = _starting_lines(points, first, starts, seed)
    weights = _welsch_weights(points, centres, directions, width)
    for _ in range(_SCOUTING):
        centres, directions, weights = _reweighted(points, weights, width)
    weights = weights[[int(weights.sum(axis=1).argmax())]]  # the Welsch loss is n minus this sum
    for _ in range(_ITERATIONS):
        previous = weights
        centres, directions, weights = _reweighted(points, weights, width)
        if np.abs(weights - previous).max() < _TOLERANCE:
            break
    return _oriented(LineFit(centres[0], directions[0], weights[0]), points)


def _reweighted(points: np.ndarray, weights: np.ndarray, width: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """One round for k lines: their points, directions and new weights (k, n) from the old ones."""
    # A line far from all points keeps a trace of each, so that nothing is divided by zero.
    centres, directions, _ = _principal_axes(points, np.maximum(weights, 1e-12))
    return centres, directions, _welsch_weights(points, centres, directions, width)


def _checked_points(points: np.ndarray) -> np.ndarray:
    points = np.asarray(points, dtype=np.float64)
    if points.ndim != 2 or len(points) < 2:
        raise ValueError(f"points have shape {points.shape}, expected (n, 2) or (n, 3) with two points or more")
    if not np.isfinite(points).all():
        raise ValueError("points are not all finite")
    return points


def _principal_axes(points: np.ndarray, weights: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Means (k, d), principal directions (k, d), variances along them (k,) for k rows of weights (k, n)."""
    total = weights.sum(axis=1, keepdims=True)
    centres = weights @ points / total
    offsets = points[None] - centres[:, None]
    covariances = (offsets * (weights / total)[..., None]).transpose(0, 2, 1) @ offsets
    values, vectors = np.linalg.eigh(covariances)
    return centres, vectors[:, :, -1], values[:, -1]


def _starting_lines(points: np.ndarray, first: LineFit, starts: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """The line through all points and lines through pairs of different points."""
    n = len(points)
    if n * (n - 1) // 2 <= starts:
        a, b = np.triu_indices(n, 1)
    else:
        rng = np.random.default_rng(seed)
        a = rng.integers(n, size=starts)
        b = (a + rng.integers(1, n, size=starts)) % n
    directions = points[b] - points[a]
    lengths = np.linalg.norm(directions, axis=1)
    apart = lengths > 0
    directions = directions[apart] / lengths[apart, None]
    return np.vstack([first.centre, points[a][apart]]), np.vstack([first.direction, directions])


def _welsch_weights(points: np.ndarray, centres: np.ndarray, directions: np.ndarray, width: float) -> np.ndarray:
    """Weights (k, n) of n points about k lines."""
    offsets = points[None] - centres[:, None]
    along = (offsets @ directions[..., None])[..., 0]
    squared = np.maximum((offsets**2).sum(axis=2) - along**2, 0.0)
    return np.exp(-squared / width**2)


def _oriented(fit: LineFit, points: np.ndarray) -> LineFit:
    """Direction turned so that position along the line grows with the order of the points."""
    order = np.arange(len(points)) - (len(points) - 1) / 2
    along = (fit.weights * order) @ ((points - fit.centre) @ fit.direction)
    return fit if along >= 0 else fit._replace(direction=-fit.direction)


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
        n = n / np.linalg.norm(n)
        u, v = project(u, n), project(v, n)
        sine, cosine = np.cross(u, v) @ n, (u * v).sum(axis=-1)
    return np.degrees(np.arctan2(sine, cosine))


def angle_between(u: np.ndarray, v: np.ndarray) -> np.ndarray | float:
    """Angle in degrees, 0 to 180, between directed vectors (..., d); exact for nearly parallel ones too."""
    u, v = np.asarray(u, dtype=np.float64), np.asarray(v, dtype=np.float64)
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
    return vectors - (vectors @ normal)[..., None] * normal
