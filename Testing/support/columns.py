"""Columns of vertebrae whose endplate tilts, and with them whose Cobb angles, are known exactly."""

import numpy as np


def column(tilts, *, width: float = 40.0, height: float = 25.0, disc: float = 7.0, wedges=None) -> np.ndarray:
    """(n, 4, 2) corners of vertebrae tilted by these degrees, clockwise positive, stacked from top to bottom.

    A vertebra's superior endplate is tilted by its tilt less half its wedge, its inferior one by half a wedge more.
    """
    tilts = np.radians(np.asarray(tilts, dtype=float))
    wedges = np.zeros_like(tilts) if wedges is None else np.radians(np.asarray(wedges, dtype=float))
    centre, corners = np.zeros(2), []
    for k, (tilt, wedge) in enumerate(zip(tilts, wedges, strict=True)):
        down = _down(tilt)
        if k:
            centre = centre + disc * _down((tilt + tilts[k - 1]) / 2) + height / 2 * (down + _down(tilts[k - 1]))
        top, bottom = centre - height / 2 * down, centre + height / 2 * down
        across, below = width / 2 * _right(tilt - wedge / 2), width / 2 * _right(tilt + wedge / 2)
        corners.append([top - across, top + across, bottom - below, bottom + below])
    return np.array(corners) + np.array([300.0, 40.0])


def _right(tilt: float) -> np.ndarray:
    return np.array([np.cos(tilt), np.sin(tilt)])


def _down(tilt: float) -> np.ndarray:
    return np.array([-np.sin(tilt), np.cos(tilt)])


def tilts_through(*turns: tuple[int, float], n: int = 17) -> np.ndarray:
    """(n,) tilts that run straight from one (vertebra, degrees) to the next."""
    rows, degrees = zip(*turns, strict=True)
    return np.interp(np.arange(n), rows, degrees)


def points_of(corners: np.ndarray) -> np.ndarray:
    """(4n, 3) LPS mm of corners in the image plane of an image at the origin with spacing 1."""
    points = np.zeros((4 * len(corners), 3))
    points[:, :2] = corners.reshape(-1, 2)
    return points


class APlane:
    """Image geometry alone: size in pixels, spacing, origin, and columns and rows along LPS x and y."""

    def __init__(self, columns: int = 600, rows: int = 800, spacing=(1.0, 1.0), origin=(0.0, 0.0, 0.0)) -> None:
        self.size = (columns, rows, 1)
        self._spacing = np.array([*spacing, 1.0])
        self._origin = np.array(origin)

    def index_points(self, lps: np.ndarray) -> np.ndarray:
        return (np.asarray(lps) - self._origin) / self._spacing
