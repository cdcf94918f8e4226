"""Pose of a synthetic spine: seventeen vertebral bodies along a scoliotic curve, in mm of the AP plane.

The frame has x to the right of the image and y downwards; its origin is the middle of the spine. Proportions
(width, height and disc space of each level as a share of the T1-L5 length) are those of an adolescent.
"""

from dataclasses import dataclass

import numpy as np

LEVELS = (*(f"T{i}" for i in range(1, 13)), *(f"L{i}" for i in range(1, 6)))
SPINE_LENGTH = 420.0
"""Length in mm of the curve through the seventeen centres before the random body size."""

_WIDTH = np.array([74, 69, 65, 64, 65, 67, 70, 72, 76, 79, 84, 89, 93, 96, 100, 104, 110]) / 1000
_HEIGHT = np.array([30, 33, 36, 39, 41, 42, 42, 43, 45, 46, 49, 51, 53, 53, 55, 56, 54]) / 1000
_GAP = np.array([12, 13, 13, 13, 13, 14, 14, 14, 15, 17, 19, 21, 23, 24, 25, 25]) / 1000

# Where the apices lie by the number of curves, as vertebra indices (T1 = 0): PT, MT and TL/L curves.
_APICES = {1: ((6, 13),), 2: ((5, 8), (12.5, 14.5)), 3: ((2.5, 4), (7, 9), (12.5, 14.5))}


@dataclass(frozen=True, eq=False)
class SpinePose:
    """Vertebrae T1..L5, lengths in mm.

    ``centres`` (17, 2); ``tilt`` (17,) radians, positive when the end to the right of the image is lower;
    ``width``, ``height`` (17,); ``wedge`` (17, 2) extra slope of the top and bottom endplate; ``taper`` (17,)
    half the difference of bottom and top width; ``rotation`` (17,) axial rotation, a share of the half width.
    """

    centres: np.ndarray
    tilt: np.ndarray
    width: np.ndarray
    height: np.ndarray
    wedge: np.ndarray
    taper: np.ndarray
    rotation: np.ndarray
    curve_count: int
    curve_angles: tuple[float, ...]

    def corners(self) -> np.ndarray:
        """(17, 4, 2) mm: top-left, top-right, bottom-left, bottom-right of each body as seen in the image."""
        half = np.stack([self.width / 2 - self.taper / 2, self.width / 2 + self.taper / 2], axis=1)
        x = np.stack([-half[:, 0], half[:, 0], -half[:, 1], half[:, 1]], axis=1)
        y = np.stack([-self.height / 2] * 2 + [self.height / 2] * 2, axis=1)
        y = y + np.repeat(self.wedge, 2, axis=1) * x
        cos, sin = np.cos(self.tilt)[:, None], np.sin(self.tilt)[:, None]
        return self.centres[:, None, :] + np.stack([cos * x - sin * y, sin * x + cos * y], axis=2)


def random_pose(
    rng: np.random.Generator, curve_angle: float | None = None, curve_count: int | None = None
) -> SpinePose:
    """A spine with one, two or three curves, the largest ``curve_angle`` degrees (random 0-70 when None)."""
    count = int(curve_count or rng.choice([1, 2, 2, 3]))
    angle = float(rng.triangular(0, 28, 72)) if curve_angle is None else float(curve_angle)
    length = SPINE_LENGTH * rng.uniform(0.92, 1.08)
    width = _WIDTH * length * rng.normal(1, 0.06) * rng.normal(1, 0.015, 17)
    height = _HEIGHT * rng.normal(1, 0.012, 17)
    gap = _GAP * rng.normal(1, 0.10) * rng.normal(1, 0.06, 16)
    steps = (height[1:] + height[:-1]) / 2 + gap
    height, steps = height * length / steps.sum(), steps * length / steps.sum()
    tilt_of, angles = _tilt_curve(rng, count, angle)
    levels = np.arange(17.0)
    centres, tilt = _integrate(tilt_of(levels), tilt_of(levels[:-1] + 0.5), steps, rng.normal(0, 0.025) * length)
    deviation = centres[:, 0] - np.interp(centres[:, 1], centres[[0, -1], 1], centres[[0, -1], 0])
    curvature = np.gradient(tilt)
    return SpinePose(
        centres=centres - [centres[:, 0].mean(), (centres[0, 1] + centres[-1, 1]) / 2],
        tilt=tilt + rng.normal(0, 0.012, 17),
        width=width,
        height=height,
        # A vertebra takes about half of the bend between its neighbours' discs as wedging.
        wedge=np.stack([-curvature, curvature], axis=1) * 0.22 + rng.normal(0, 0.01, (17, 2)),
        taper=width * (rng.uniform(0.02, 0.07) + rng.normal(0, 0.015, 17)),
        rotation=np.clip(-deviation / 40.0 * rng.uniform(0.25, 0.5), -0.45, 0.45) + rng.normal(0, 0.03),
        curve_count=count,
        curve_angles=angles,
    )


def _tilt_curve(rng: np.random.Generator, count: int, angle: float):
    """Tilt in radians as a smooth function of the level, and each curve's angle in degrees from the top."""
    from scipy.interpolate import PchipInterpolator

    apices = np.array([rng.uniform(*span) for span in _APICES[count]])
    between = (apices[1:] + apices[:-1]) / 2
    first = apices[0] - rng.uniform(2.4, 4.5)
    last = apices[-1] + rng.uniform(2.0, 3.2)
    ends = np.concatenate([[max(first, -1.0)], between, [min(last, 16.5)]])
    share = rng.uniform(0.45, 0.95, count)
    share[rng.integers(count)] = 1.0
    angles = angle * share
    # Neighbours bend to opposite sides: the tilt swings by one curve's angle between two end vertebrae.
    swing = angles * np.where(np.arange(count) % 2, -1, 1) * rng.choice([-1, 1])
    tilts = np.deg2rad(np.concatenate([[0], np.cumsum(swing)]))
    tilts -= (tilts.max() + tilts.min()) / 2
    outside = rng.uniform(0.1, 0.7, 2)
    knots = np.concatenate([[ends[0] - 5], ends, [ends[-1] + 5]])
    values = np.concatenate([[tilts[0] * outside[0]], tilts, [tilts[-1] * outside[1]]])
    return PchipInterpolator(knots, values, extrapolate=True), tuple(float(a) for a in angles)


def _integrate(at_vertebra: np.ndarray, at_disc: np.ndarray, steps: np.ndarray, offset: float):
    """Centres (17, 2) and tilts of a spine turned so that T1 stands ``offset`` mm beside L5."""
    turn = 0.0
    for _ in range(6):
        dx = -np.sin(at_disc + turn) * steps
        dy = np.cos(at_disc + turn) * steps
        turn += (dx.sum() + offset) / dy.sum()
    dx, dy = -np.sin(at_disc + turn) * steps, np.cos(at_disc + turn) * steps
    centres = np.concatenate([[[0.0, 0.0]], np.cumsum(np.stack([dx, dy], axis=1), axis=0)])
    return centres, at_vertebra + turn
