"""Random views of a CT volume: how the foot lay, how its bones are shaped, what the scanner made of it."""

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

_CONTROL = 5
"""Nodes along each side of the window between which the warp is interpolated."""


@dataclass(frozen=True)
class VolumeAugmentation:
    """Strengths of the random changes.

    ``turn`` degrees (standard deviation) about the vertical and ``tilt`` about the two other axes; ``zoom``, and
    ``stretch`` along each axis, relative; ``warp`` voxels (standard deviation) by which the nodes of a smooth random
    deformation move; ``shift`` voxels. ``cut``: probability that the volume ends at a random plane. ``gain``,
    ``offset``, ``gamma``: of grey values; ``noise``: its largest standard deviation; ``blur``: probability of one.
    """

    turn: float = 10.0
    tilt: float = 8.0
    zoom: float = 0.12
    stretch: float = 0.08
    warp: float = 1.5
    shift: float = 6.0
    cut: float = 0.1
    gain: float = 0.15
    offset: float = 0.05
    gamma: float = 0.25
    noise: float = 0.05
    blur: float = 0.3

    def __call__(
        self, volume: np.ndarray, centre: np.ndarray, points: np.ndarray, size: tuple[int, int, int], seed: int
    ) -> tuple[Tensor, Tensor]:
        """A random window of ``size`` (z, y, x) about ``centre`` (3,) (x, y, z) voxels of ``volume`` (z, y, x) uint8.

        Returns grey (1, z, y, x) in 0..1 and the points (k, 3) in voxels of the window; NaN stays NaN, and a point that
        was cut away becomes NaN.
        """
        rng = np.random.default_rng(seed)
        window = _Window(size, centre + rng.uniform(-self.shift, self.shift, 3), self._matrix(rng), self._nodes(rng))
        grey = window.sample(volume)
        places = window.places(points)
        if rng.random() < self.cut:
            grey, places = _cut(grey, places, rng)
        return self._expose(grey, rng), places

    def _matrix(self, rng: np.random.Generator) -> np.ndarray:
        from scipy.spatial.transform import Rotation

        angles = np.clip(rng.normal(0, (self.turn, self.tilt, self.tilt)), -30, 30)
        rotation = Rotation.from_euler("zyx", angles, degrees=True).as_matrix()
        scale = np.exp(rng.uniform(-self.zoom, self.zoom) + rng.uniform(-self.stretch, self.stretch, 3))
        return rotation * scale

    def _nodes(self, rng: np.random.Generator) -> np.ndarray:
        return rng.normal(0, self.warp, (3, _CONTROL, _CONTROL, _CONTROL))

    def _expose(self, grey: Tensor, rng: np.random.Generator) -> Tensor:
        grey = grey ** float(np.exp(rng.uniform(-self.gamma, self.gamma)))
        grey = grey * float(1 + rng.uniform(-self.gain, self.gain)) + float(rng.uniform(-self.offset, self.offset))
        if rng.random() < self.blur:
            grey = torch.lerp(grey, F.avg_pool3d(grey[None], 3, stride=1, padding=1)[0], float(rng.uniform(0.3, 1.0)))
        noise = torch.from_numpy(rng.standard_normal(grey.shape, dtype=np.float32))
        return (grey + noise * float(rng.uniform(0, self.noise))).clamp(0, 1)


def plain_window(
    volume: np.ndarray, centre: np.ndarray, points: np.ndarray, size: tuple[int, int, int]
) -> tuple[Tensor, Tensor]:
    """As :class:`VolumeAugmentation` without any change."""
    window = _Window(size, np.rint(centre - 0.5) + 0.5, np.eye(3), np.zeros((3, _CONTROL, _CONTROL, _CONTROL)))
    return window.sample(volume), window.places(points)


class _Window:
    """Window voxel u (x, y, z) shows the volume's voxel ``centre + matrix (u - middle) + warp(u)``."""

    def __init__(self, size: tuple[int, int, int], centre: np.ndarray, matrix: np.ndarray, nodes: np.ndarray) -> None:
        self.size = size
        self.extent = np.array(size[::-1], dtype=float)
        self.middle = (self.extent - 1) / 2
        self.centre, self.matrix = np.asarray(centre, dtype=float), matrix
        self.nodes = torch.from_numpy(nodes).float()[None]

    def sample(self, volume: np.ndarray) -> Tensor:
        """(1, z, y, x) grey 0..1; black beyond the volume."""
        axes = [torch.arange(n).float() - float(m) for n, m in zip(self.size[::-1], self.middle, strict=True)]
        matrix = torch.from_numpy(self.matrix).float()
        x, y, z = (axis[:, None] * matrix[:, k] for k, axis in enumerate(axes))
        places = z[:, None, None] + y[None, :, None] + x[None, None] + torch.from_numpy(self.centre).float()
        places = places + F.interpolate(self.nodes, self.size, mode="trilinear", align_corners=True)[0].movedim(0, -1)
        low = np.floor(places.amin((0, 1, 2)).numpy()).astype(int) - 1
        high = np.ceil(places.amax((0, 1, 2)).numpy()).astype(int) + 2
        limit = np.array(volume.shape[::-1])
        low, high = np.clip(low, 0, limit), np.clip(high, 0, limit)
        if (high <= low).any():
            return torch.zeros(1, *self.size)
        part = np.ascontiguousarray(volume[low[2] : high[2], low[1] : high[1], low[0] : high[0]])
        grid = (2 * (places - torch.from_numpy(low)) + 1) / torch.from_numpy(high - low) - 1
        source = torch.from_numpy(part)[None, None].float() / 255
        return F.grid_sample(source, grid[None].float(), padding_mode="zeros", align_corners=False)[0]

    def places(self, points: np.ndarray) -> Tensor:
        """Where volume voxels (k, 3) stand in the window, by iteration: the warp is small and smooth."""
        inverse = np.linalg.inv(self.matrix)
        known = np.isfinite(points).all(axis=1)
        places = np.full(points.shape, np.nan)
        straight = points[known] - self.centre
        found = straight @ inverse.T
        for _ in range(6):
            found = (straight - self._warp(found)) @ inverse.T
        places[known] = found + self.middle
        return torch.from_numpy(places).float()

    def _warp(self, offsets: np.ndarray) -> np.ndarray:
        """The warp (k, 3) at offsets (k, 3) from the middle; beyond the window that of its border."""
        grid = torch.from_numpy(offsets / self.middle).float()[None, None, None]
        moved = F.grid_sample(self.nodes, grid, padding_mode="border", align_corners=True)
        return moved[0, :, 0, 0].T.double().numpy()


def _cut(grey: Tensor, places: Tensor, rng: np.random.Generator) -> tuple[Tensor, Tensor]:
    """The volume ends at a plane across one axis, somewhere in the outer thirds of the window."""
    axis, before = int(rng.integers(3)), bool(rng.random() < 0.5)
    size = grey.shape[-1 - axis]
    edge = int(size * rng.uniform(0.05, 0.35))
    edge = edge if before else size - edge
    grey = grey.clone()
    lost = places[:, axis] < edge if before else places[:, axis] > edge - 1
    grey.movedim(-1 - axis, 0)[slice(0, edge) if before else slice(edge, None)] = 0
    return grey, torch.where(lost[:, None], torch.nan, places)
