"""Attenuation of what surrounds the spine on an AP radiograph: trunk, lungs, heart, gas, ribs, pelvis.

Everything is placed by the levels of the posed spine, in mm of the AP plane (x right, y down), with the trunk
standing on the line T1-L5 and not on the curve.
"""

import numpy as np

from orthoangles.simulation.spine.pose import SpinePose
from orthoangles.simulation.spine.strokes import Strokes

SOFT = 0.020
"""Attenuation of soft tissue per mm."""
_BONE = 0.050


class Trunk:
    """The random trunk around one pose; ``side`` is +1 where the heart lies to the right of the image."""

    def __init__(self, rng: np.random.Generator, pose: SpinePose) -> None:
        self._rng, self._pose = rng, pose
        self.side = 1 if rng.random() < 0.95 else -1
        self._size = float(np.mean(pose.width)) / 34.0
        self._top, self._bottom = pose.centres[0], pose.centres[-1]
        self._depth = rng.uniform(150, 215)
        self._chest = rng.uniform(108, 140) * self._size
        self._waist = self._chest * rng.uniform(0.85, 1.05)
        self._lung_loss = rng.uniform(0.42, 0.68)
        self._follow = rng.uniform(0.35, 0.7)
        self._domes = self._level(rng.uniform(8.8, 11.2)) + np.array([0.0, rng.uniform(2, 16)])
        self._heart = (rng.uniform(30, 52), rng.uniform(42, 66), rng.uniform(0.25, 0.6))

    def _level(self, level: float) -> float:
        """Y in mm of a vertebra index, extended above T1 and below L5."""
        levels, y = np.arange(17.0), self._pose.centres[:, 1]
        return float(np.interp(level, levels, y) + min(level, 0) * 18 + max(level - 16, 0) * 36)

    def _middle(self, y):
        top, bottom = self._top, self._bottom
        return top[0] + (y - top[1]) / (bottom[1] - top[1]) * (bottom[0] - top[0])

    def _spine_x(self, y):
        return np.interp(y, self._pose.centres[:, 1], self._pose.centres[:, 0])

    # --- soft tissue
    def soft_tissue(self, x: np.ndarray, y: np.ndarray) -> np.ndarray:
        """Attenuation at the grid of columns ``x`` (m,) and rows ``y`` (n,) in mm: (n, m)."""
        rows, columns = y[:, None], x[None, :]
        off = columns - self._middle(rows)
        depth = self._trunk_depth(off, rows)
        spine = columns - self._spine_x(rows)
        lung = self._lungs(off, spine, rows)
        total = SOFT * depth * (1 - self._lung_loss * lung)
        total += SOFT * self._paraspinal(spine, rows)
        total -= SOFT * self._gas(off, rows)
        total -= SOFT * 16 * np.exp(-((0.5 * (off + spine) / 8) ** 4)) * _step(self._level(4.2) - rows, 4)
        return np.maximum(total, 0) + self._pelvis(off, rows)

    def _trunk_depth(self, off, y):
        neck_y = self._level(0) - 4
        below = np.clip((y - neck_y) / 55, 0, 1)
        half = 58 * self._size + (self._chest * 1.32 - 58 * self._size) * below**0.55
        hips = np.clip((y - self._level(13)) / (self._level(17) - self._level(13)), 0, 1)
        narrow = np.clip((y - self._level(7)) / (self._level(12) - self._level(7)), 0, 1)
        half = half + (self._waist * 1.1 - self._chest * 1.32) * narrow * (1 - hips) + hips * 8
        profile = np.clip(1 - (np.abs(off) / half) ** 2.6, 0, None) ** 0.5
        neck = 0.62 + 0.38 * np.clip((y - neck_y + 20) / 70, 0, 1)
        belly = 1 + 0.12 * np.clip((y - self._domes.mean()) / 60, 0, 1)
        return self._depth * profile * neck * belly

    def _lungs(self, off, spine, y):
        apex = self._level(1.2)
        opened = np.clip((y - apex) / (self._level(8) - apex), 0, 1)
        wall = self._chest * (0.50 + 0.46 * opened**0.6)
        apex_line = apex + 0.0016 * (np.abs(off) - 0.45 * self._chest) ** 2 * 6
        total = np.zeros(np.broadcast_shapes(off.shape, y.shape))
        for side, dome in ((-self.side, self._domes[0]), (self.side, self._domes[1])):
            across = side * off
            edge = dome + 0.0042 * (across - 0.52 * self._chest) ** 2
            heart = self._heart_edge(y, side == self.side)
            centre = self._follow * spine + (1 - self._follow) * off
            inner = np.minimum(side * centre - heart, side * spine - 13 * self._size)
            total += _step(wall - across, 6) * _step(inner, 3.5) * _step(edge - y, 2.5) * _step(y - apex_line, 5)
        return total

    def _heart_edge(self, y, left):
        """Distance in mm of the mediastinal edge from its centre line."""
        width, height, share = self._heart
        base = 19 * self._size + (9 if left else 1) * np.exp(-(((y - self._level(3.6)) / 13) ** 2))
        reach = (y - (self._domes[1] - (0.45 if left else 0.7) * height)) / height
        bulge = np.exp(-(np.where(reach < 0, reach / 0.95, reach / 1.1) ** 2) * 1.6)
        return base + (width if left else width * share * 0.6) * bulge

    def _paraspinal(self, spine, y):
        """Muscle and, in the belly, psoas beside the vertebrae."""
        half = np.interp(y, self._pose.centres[:, 1], self._pose.width) / 2
        muscle = 26 * np.clip(1 - (spine / (1.9 * half)) ** 2, 0, None)
        low = np.clip((y - self._level(11.5)) / (self._level(16) - self._level(11.5)), 0, 1.3)
        psoas = 9 * low**0.5 * _step(half * (1.0 + 1.1 * low) - np.abs(spine), 3)
        return muscle + psoas

    def _gas(self, off, y):
        rng = self._rng
        total = np.zeros(np.broadcast_shapes(off.shape, y.shape))
        if rng.random() < 0.6:
            total += rng.uniform(15, 75) * self._bubble(
                off,
                y,
                self.side * rng.uniform(45, 75),
                self._domes[1] + rng.uniform(22, 38),
                rng.uniform(18, 32),
                rng.uniform(10, 22),
            )
        for _ in range(rng.integers(0, 16)):
            x0 = rng.choice([-1, 1]) * rng.uniform(35, 120)
            y0 = self._level(rng.uniform(13.2, 18.5))
            total += rng.uniform(6, 40) * self._bubble(off, y, x0, y0, rng.uniform(4, 16), rng.uniform(4, 12))
        return total

    def _bubble(self, off, y, x0, y0, a, b):
        turn = self._rng.uniform(0, np.pi)
        dx, dy = off - x0, y - y0
        u, v = (np.cos(turn) * dx + np.sin(turn) * dy) / a, (-np.sin(turn) * dx + np.cos(turn) * dy) / b
        wobble = 1 + 0.18 * np.sin(3 * np.arctan2(v, u) + self._rng.uniform(0, 6))
        return np.sqrt(np.clip(1 - (u * u + v * v) / wobble**2, 0, None))

    def _pelvis(self, off, y):
        """Iliac wings and sacrum."""
        rng = self._rng
        crest = self._level(15) + rng.uniform(2, 16)
        total = np.zeros(np.broadcast_shapes(off.shape, y.shape))
        for side in (-1, 1):
            across = side * off
            upper = crest + 0.0075 * (across - 84 * self._size) ** 2 + 22 * np.exp(-(across - 36 * self._size) / 7)
            inner = across - (36 + 0.08 * (y - crest)) * self._size
            inside = _step(y - upper, 3) * _step(inner, 3) * _step(150 * self._size - across, 5)
            rim = np.exp(-(((y - upper - 1) / 2.2) ** 2)) * _step(inner, 3)
            joint = np.exp(-((inner / 2.2) ** 2)) * _step(y - upper, 6)
            total += 0.20 * inside + 0.16 * rim + 0.12 * joint
        return total * rng.uniform(0.6, 1.3)

    # --- bones and vessels, drawn as bars
    def bars(self, to_pixels, scale: float) -> Strokes:
        """Ribs, clavicles and lung vessels; ``to_pixels`` maps (n, 2) mm to px, ``scale`` is px per mm."""
        strokes = Strokes()
        contrast = self._rng.uniform(0.8, 1.7)
        for level in range(12):
            for side in (-1, 1):
                curve, radius = self._rib(level, side)
                strokes.add_tube(to_pixels(curve), radius * scale, 0.42 * contrast, hollow=0.82)
        for side in (-1, 1):
            curve = self._clavicle(side)
            strokes.add_tube(to_pixels(curve), 5.0 * scale, 0.5 * contrast, hollow=0.7)
        for _ in range(self._rng.integers(90, 200)):
            curve, radius = self._vessel()
            strokes.add_tube(to_pixels(curve), np.maximum(radius * scale, 0.4), self._rng.uniform(0.03, 0.13))
        return strokes

    def _rib(self, level: int, side: int):
        pose = self._pose
        start = pose.centres[level] + [
            side * 0.46 * pose.width[level],
            -0.42 * pose.height[level] + side * 0.4 * pose.width[level] * np.sin(pose.tilt[level]),
        ]
        reach = self._chest * (0.62 + 0.38 * np.clip(level / 6, 0, 1)) * (1.0 if level < 10 else 0.9)
        end = np.deg2rad(135 if level < 10 else (70 if level == 10 else 45))
        angle = np.linspace(0, end, 60)
        wall = self._middle(start[1] + 30) + side * reach
        fall = (36 + 9 * min(level, 8) + (38 if level >= 10 else 0)) * self._rng.normal(1, 0.05)
        rise = 7 + 3 * np.clip(5 - level, 0, 5) * 0.5
        x = start[0] + (wall - start[0]) * np.sin(angle) ** 0.95
        y = (
            start[1]
            + fall * (1 - np.cos(angle))
            - rise * np.sin(2 * np.clip(angle, 0, np.pi / 2)) * (angle < np.pi / 2)
        )
        radius = np.interp(angle, [0, 0.3, 1.5, 2.4], [3.0, 4.0, 4.4, 5.0]) * self._size
        return np.stack([x, y], axis=1), radius

    def _clavicle(self, side: int):
        t = np.linspace(0, 1, 40)
        inner = np.array([self._middle(self._level(3)) + side * 13, self._level(2.6) + self._rng.uniform(-4, 4)])
        run, climb = 118 * self._size, self._rng.uniform(8, 40)
        x = inner[0] + side * run * t
        return np.stack([x, inner[1] - climb * t - 9 * np.sin(2 * np.pi * t) * self._size], axis=1)

    def _vessel(self):
        rng = self._rng
        side = rng.choice([-1, 1])
        root = np.array(
            [self._middle(self._level(5.5)) + side * rng.uniform(28, 45), self._level(rng.uniform(4.5, 6.8))]
        )
        heading = rng.uniform(-1.2, 1.5)
        length = rng.uniform(30, 95) * (1.15 if heading > 0.3 else 0.8)
        t = np.linspace(0, 1, 20)[:, None]
        bend = rng.normal(0, 0.25)
        direction = np.array([side * np.cos(heading), np.sin(heading)])
        normal = np.array([-direction[1], direction[0]])
        return root + length * (t * direction + bend * t**2 * normal), (2.6 * (1 - t[:, 0]) + 0.4) * rng.uniform(
            0.5, 1.1
        )


def _step(distance, width):
    """1 where ``distance`` is positive, 0 where negative, over a ramp of ``width`` mm."""
    return 0.5 + 0.5 * np.tanh(distance / width)
