"""Bars drawn into an attenuation map: ribs, clavicles, vessels. Splatted points: a curve costs its length."""

import numpy as np


def splat(canvas: np.ndarray, x: np.ndarray, y: np.ndarray, weight: np.ndarray) -> None:
    """Add ``weight`` at pixel positions (x column, y row) to ``canvas`` (rows, columns), bilinearly."""
    rows, columns = canvas.shape
    x0, y0 = np.floor(x).astype(np.int64), np.floor(y).astype(np.int64)
    fx, fy = x - x0, y - y0
    for dx, wx in ((0, 1 - fx), (1, fx)):
        for dy, wy in ((0, 1 - fy), (1, fy)):
            inside = (x0 + dx >= 0) & (x0 + dx < columns) & (y0 + dy >= 0) & (y0 + dy < rows)
            index = ((y0 + dy) * columns + x0 + dx)[inside]
            canvas += np.bincount(index, (weight * wx * wy)[inside], canvas.size).reshape(canvas.shape)


class Strokes:
    """Collects tubes along curves in pixels and draws them all at once."""

    def __init__(self) -> None:
        self._parts: list[np.ndarray] = []

    def add_tube(self, curve: np.ndarray, radius, amplitude: float, *, hollow: float = 0.0) -> None:
        """A round bar along ``curve`` (n, 2) px; ``radius`` px at each point or one number.

        ``amplitude`` is the attenuation in the middle of the bar; ``hollow`` (0..1) is the share of the
        radius that is marrow, which leaves the bright rims of a long bone.
        """
        step = 0.75
        length = np.concatenate([[0], np.cumsum(np.linalg.norm(np.diff(curve, axis=0), axis=1))])
        count = max(int(length[-1] / step), 2)
        at = np.linspace(0, length[-1], count)
        points = np.stack([np.interp(at, length, curve[:, k]) for k in (0, 1)], axis=1)
        radii = np.interp(at, length, np.broadcast_to(radius, len(curve)).astype(float))
        tangent = np.gradient(points, axis=0)
        tangent /= np.maximum(np.linalg.norm(tangent, axis=1, keepdims=True), 1e-9)
        across = max(int(np.ceil(2 * radii.max() / step)), 2)
        offset = (np.arange(across) + 0.5) / across * 2 - 1
        profile = np.sqrt(1 - offset**2)
        if hollow:
            profile = profile - 0.75 * np.sqrt(np.clip(hollow**2 - offset**2, 0, None))
        side = offset[None, :] * radii[:, None]
        x = points[:, :1] - tangent[:, 1:] * side
        y = points[:, 1:] + tangent[:, :1] * side
        area = (length[-1] / count) * (2 * radii / across)
        self._parts.append(np.stack([x, y, amplitude * profile[None, :] * area[:, None]]).reshape(3, -1))

    def draw(self, shape: tuple[int, int]) -> np.ndarray:
        """Attenuation (rows, columns) float64 of all tubes."""
        canvas = np.zeros(shape)
        if self._parts:
            splat(canvas, *np.concatenate(self._parts, axis=1))
        return canvas
