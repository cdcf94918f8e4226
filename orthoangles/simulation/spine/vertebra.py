"""Attenuation of one vertebra seen from the front: body with cortex and endplates, and posterior elements."""

from dataclasses import dataclass

import numpy as np

CANCELLOUS = 0.0030
"""Attenuation per mm that trabecular bone adds to the soft tissue it replaces."""
CORTICAL = 0.050
"""The same of dense bone."""


@dataclass(frozen=True)
class Vertebra:
    """One vertebra, lengths in mm.

    ``level`` 0 = T1 .. 16 = L5 (below 0: cervical); ``density`` scales all bone, ``posterior`` the posterior
    elements alone; ``opening`` is the height of the ellipse that an oblique endplate projects to; ``dip`` the
    depth of a concave endplate; ``waist`` the share by which the body narrows between its endplates.
    """

    level: int
    centre: tuple[float, float]
    tilt: float
    width: float
    height: float
    wedge: tuple[float, float]
    taper: float
    rotation: float
    density: float
    opening: tuple[float, float]
    dip: float
    waist: float
    posterior: float

    @property
    def is_lumbar(self) -> bool:
        return self.level >= 12


def reach(vertebra: Vertebra) -> tuple[float, float]:
    """Half width and half height in mm of the upright box around the centre in which a vertebra draws."""
    across, down = 1.0 * vertebra.width, 1.25 * vertebra.height
    cos, sin = abs(np.cos(vertebra.tilt)), abs(np.sin(vertebra.tilt))
    return across * cos + down * sin, across * sin + down * cos


def attenuation(vertebra: Vertebra, x: np.ndarray, y: np.ndarray, pixel: float) -> np.ndarray:
    """Attenuation at points (x, y) mm of the AP plane, arrays of one shape; ``pixel`` mm softens edges."""
    dx, dy = x - vertebra.centre[0], y - vertebra.centre[1]
    cos, sin = np.cos(vertebra.tilt), np.sin(vertebra.tilt)
    along, down = cos * dx + sin * dy, -sin * dx + cos * dy
    total = _body(vertebra, along, down, pixel) + vertebra.posterior * _posterior(vertebra, along, down)
    return vertebra.density * total


def _body(v: Vertebra, x: np.ndarray, y: np.ndarray, pixel: float) -> np.ndarray:
    top = -v.height / 2 + v.wedge[0] * x
    bottom = v.height / 2 + v.wedge[1] * x
    share = np.clip((y - top) / (bottom - top), 0, 1)
    half_width = (v.width + v.taper * (2 * share - 1)) / 2 * (1 - v.waist * 4 * share * (1 - share))
    u = x / half_width
    chord = np.sqrt(np.clip(1 - u * u, 0, 1))
    cortex = 1.3 / half_width
    shell = chord - (1 - cortex) * np.sqrt(np.clip(1 - (u / (1 - cortex)) ** 2, 0, 1))
    depth = v.width * (0.72 if v.is_lumbar else 0.85)
    # Concave endplates: they dip towards the middle and meet the corners at |u| = 1.
    dip = v.dip * chord**2
    edge = max(0.6, pixel)
    inside = _ramp(y - top - dip, edge) * _ramp(bottom - dip - y, edge)
    body = depth * (CANCELLOUS * chord + CORTICAL * shell) * inside
    beside = _ramp((1 - np.abs(u)) * half_width, edge)
    plate = np.sqrt(np.clip(1 - 0.75 * u * u, 0, 1)) * depth * beside
    rim = np.zeros_like(x)
    line = 0.55 + 0.35 * pixel
    for distance, opening in ((y - top - dip, v.opening[0]), (bottom - dip - y, v.opening[1])):
        spread = opening / 2 * chord
        for sign in (-1, 1):
            rim += np.exp(-(((distance - sign * spread) / line) ** 2)) / (1 + opening / 2)
    return body + 0.17 * CORTICAL * plate * rim


def _posterior(v: Vertebra, x: np.ndarray, y: np.ndarray) -> np.ndarray:
    w, h = v.width, v.height
    shift = v.rotation * w / 2
    total = np.zeros_like(x)
    pedicle = (0.075 * w, 0.23 * h) if v.is_lumbar else (0.085 * w, 0.24 * h)
    for side in (-1, 1):
        centre = side * w / 2 * (0.68 - 0.25 * side * v.rotation) + 0.6 * shift
        total += _ring(x - centre, y + 0.10 * h, *pedicle, amplitude=0.24, fill=0.07)
        total += _blob(x - shift - side * 0.22 * w, y - 0.38 * h, 0.17 * w, 0.32 * h, 0.13)
        total += _process(v, side * (x - shift * 0.5), y)
        if not v.is_lumbar:
            # Rib head and costovertebral joint over the disc above, inferior facets over the disc below.
            total += _blob(x - side * 0.50 * w, y + 0.50 * h, 0.13 * w, 0.16 * h, 0.15)
            total += _blob(x - shift - side * 0.22 * w, y - 0.62 * h, 0.12 * w, 0.20 * h, 0.10)
        else:
            total += _blob(x - shift - side * 0.36 * w, y - 0.62 * h, 0.08 * w, 0.30 * h, 0.20)
            total += _blob(x - shift - side * 0.33 * w, y + 0.55 * h, 0.08 * w, 0.25 * h, 0.14)
    low = 0.55 * h if v.is_lumbar else 0.85 * h
    size = (0.055 * w, 0.34 * h) if v.is_lumbar else (0.06 * w, 0.26 * h)
    return total + _ring(x - 1.5 * shift, y - low, *size, amplitude=0.18, fill=0.06)


def _process(v: Vertebra, x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Transverse process where x is positive: long and level in the lumbar spine, short and rising above."""
    root, tip = 0.46 * v.width, (0.92 if v.is_lumbar else 0.78) * v.width
    rise = 0.02 if v.is_lumbar else 0.30
    along = np.clip((x - root) / (tip - root), 0, 1)
    outside = np.maximum(np.maximum(root - x, x - tip), 0)
    thick = (0.11 if v.is_lumbar else 0.13) * v.height * (1.2 - 0.5 * along)
    distance = np.hypot(y + 0.08 * v.height + rise * (x - root), outside)
    return 0.16 * _ramp(thick - distance, 1.2) * (1 - 0.4 * along)


def _ring(dx, dy, half_x, half_y, amplitude, fill):
    radius = np.hypot(dx / half_x, dy / half_y)
    wall = np.exp(-(((radius - 1) * min(half_x, half_y) / 0.75) ** 2))
    return amplitude * wall + fill * (radius < 1)


def _blob(dx, dy, half_x, half_y, amplitude):
    return amplitude * np.exp(-((dx / half_x) ** 2) - (dy / half_y) ** 2)


def _ramp(distance, width):
    return np.clip(distance / width + 0.5, 0, 1)
