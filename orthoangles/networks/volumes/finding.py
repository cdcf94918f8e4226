"""A foot in a volume -> its landmarks: the coarse network over the whole foot, then the fine one at each joint."""

import math
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

import numpy as np
import torch

from orthoangles.networks.volumes.decoding import Places, decode_places
from orthoangles.networks.volumes.grid import (
    AIR,
    FINE,
    POOLED,
    VolumeView,
    WorkingVolume,
    as_input,
    coarse_grey,
    working_volume,
)
from orthoangles.networks.volumes.networks import FootVolumeNet, padded
from orthoangles.networks.volumes.shape import FootShape

_HARDLY = 0.1
"""Where the coarse network gives a landmark less than this, the fine one does not look for it."""

Step = Callable[[float, str], None]
"""Called with the share done, 0 to 1, and what is being done; it may raise to cancel."""


class CoarseResult(NamedTuple):
    """``points`` (k, 3) canonical mm and ``present`` (k,) their probability to be in the volume; ``volume`` as it was
    searched; ``score``: mean probability of those that were found, 0 where none was, which tells how much it looks like
    a right foot.
    """

    points: np.ndarray
    present: np.ndarray
    volume: WorkingVolume
    score: float


class DecodedPoints3(NamedTuple):
    """``points`` (k, 3) canonical mm, NaN where missing; ``confidence`` (k,) 0..1; ``spread`` (k,) mm, one standard
    deviation per coordinate; ``warnings`` for the reader.
    """

    points: np.ndarray
    confidence: np.ndarray
    spread: np.ndarray
    warnings: tuple[str, ...]


class VolumeLandmarkFinder:
    """Coarse to fine search of a :class:`~orthoangles.networks.volumes.networks.FootVolumeNet`.

    Args:
        names: landmark ids in the order of the network's maps.
        crops: groups of ids that the fine network looks at together; each landmark belongs to one.
        size: voxels along each side of a fine crop.
        sigma: standard deviation in cells of the Gaussians that the networks were trained to draw.
        scale, floor: the spread in mm is ``sqrt((scale * excess)^2 + floor^2)``, where ``excess`` is what a map is
            wider than that Gaussian; each a number, or one for each landmark. Fitted on held-out feet.
        tolerance: mm; the confidence is the probability that the landmark lies within this distance of its true
            place, if errors are normal with that spread in each direction.
        doubtful: below this confidence a landmark is named in a warning.
        shape: ``mean`` (k, 3) and ``reach`` (k,) of a :class:`~orthoangles.networks.volumes.shape.FootShape` in mm,
            by which wrong places are told (``tools/foot_shape.py``); without it none is.

    A landmark that the coarse network sees where a foot cannot have it is looked for where the others say that it lies;
    one that even the fine network sees in a wrong place is not found. Nor is one whose absence is more probable than
    its presence by the odds of both networks together: the one sees the whole foot, the other the joint, and either
    alone misses a landmark at the edge of a scan.
    """

    def __init__(
        self,
        names: Sequence[str],
        crops: Sequence[Sequence[str]],
        size: int = 64,
        sigma: float = 1.0,
        scale: float | Sequence[float] = 1.0,
        floor: float | Sequence[float] = 0.5,
        tolerance: float = 3.0,
        doubtful: float = 0.5,
        shape: Mapping[str, Sequence] | None = None,
    ) -> None:
        self.shape = None if shape is None else FootShape.of(**shape)
        self.names, self.size, self.sigma = tuple(names), size, sigma
        self.crops = [[self.names.index(name) for name in crop] for crop in crops]
        if sorted(k for crop in self.crops for k in crop) != list(range(len(self.names))):
            raise ValueError("crops must name each landmark once")
        self.scale, self.floor = np.asarray(scale, dtype=float), np.asarray(floor, dtype=float)
        self.tolerance, self.doubtful = tolerance, doubtful

    def coarse(self, view: VolumeView, network: FootVolumeNet, device: torch.device, step: Step) -> CoarseResult:
        """Where each landmark of a right foot roughly is."""
        volume = working_volume(view, lambda share: step(0.6 * share, "Preparing the volume"))
        step(0.6, "Looking over the whole foot")
        result = self.looked_over(volume, network, device)
        step(1.0, "Looking over the whole foot")
        return result

    def looked_over(self, volume: WorkingVolume, network: FootVolumeNet, device: torch.device) -> CoarseResult:
        """What the coarse network sees in a volume that is on the networks' grid already."""
        inputs = padded(as_input(coarse_grey(volume.grey))[None, None], network.coarse.multiple, AIR)
        maps, absence = network.coarse(inputs.to(device))
        found = _on_cpu(decode_places(maps[0], absence[0], self.sigma))
        points = volume.origin + FINE * (POOLED * found.points + (POOLED - 1) / 2)
        here = found.present > 0.5
        score = float(found.present[here].mean()) if here.any() else 0.0
        return CoarseResult(points, found.present, volume, score)

    def __call__(
        self,
        view: VolumeView,
        network: FootVolumeNet,
        device: torch.device,
        step: Step,
        coarse: CoarseResult | None = None,
    ) -> DecodedPoints3:
        """Landmarks of a right foot in ``view``; ``coarse`` where :meth:`coarse` has looked at it already."""
        coarse = coarse or self.coarse(view, network, device, lambda share, text: step(0.4 * share, text))
        return self.closely(coarse, network, device, lambda share, text: step(0.4 + 0.6 * share, text))

    def closely(
        self, coarse: CoarseResult, network: FootVolumeNet, device: torch.device, step: Step = lambda share, text: None
    ) -> DecodedPoints3:
        """The landmarks that the coarse network found, as the fine one sees them."""
        points = np.full((len(self.names), 3), np.nan)
        present, excess = np.zeros(len(self.names)), np.full(len(self.names), np.nan)
        rough = self._likely_places(coarse)
        for number, crop in enumerate(self.crops):
            step(number / len(self.crops), "Looking closely at each joint")
            wanted = [k for k in crop if coarse.present[k] > _HARDLY]
            if not wanted:
                continue
            places, origin = self._look_closely(coarse.volume, rough[wanted].mean(axis=0), network, device)
            points[wanted] = (origin + FINE * places.points)[wanted]
            present[wanted] = _together(coarse.present[wanted], places.present[wanted])
            excess[wanted] = FINE * places.excess[wanted]
        if self.shape is not None:
            present[self.shape.strays(points)[0]] = 0.0
        return self._decoded(points, present, excess)

    def _likely_places(self, coarse: CoarseResult) -> np.ndarray:
        """The coarse places (k, 3), those that cannot be right where the others say that they are."""
        if self.shape is None:
            return coarse.points
        stray, placed = self.shape.strays(np.where(coarse.present[:, None] > 0.5, coarse.points, np.nan))
        return np.where(stray[:, None], placed, coarse.points)

    def _look_closely(
        self, volume: WorkingVolume, centre: np.ndarray, network: FootVolumeNet, device: torch.device
    ) -> tuple[Places, np.ndarray]:
        """The fine network on a cube about ``centre`` (3,) canonical mm, and where its first voxel stands."""
        first = np.rint((centre - volume.origin) / FINE).astype(int) - self.size // 2
        cube = as_input(cut_cube(volume.grey, first, self.size))
        maps, absence = network.fine(cube[None, None].to(device))
        return _on_cpu(decode_places(maps[0], absence[0], self.sigma)), volume.origin + FINE * first

    def _decoded(self, points: np.ndarray, present: np.ndarray, excess: np.ndarray) -> DecodedPoints3:
        lost = ~(present > 0.5)
        spread = np.hypot(self.scale * excess, self.floor)
        confidence = present * within(self.tolerance / spread)
        points[lost], spread[lost], confidence[lost] = np.nan, np.nan, 0.0
        return DecodedPoints3(points, confidence, spread, self._warnings(lost, confidence))

    def _warnings(self, lost: np.ndarray, confidence: np.ndarray) -> tuple[str, ...]:
        texts: Mapping[str, np.ndarray] = {
            "not found in the volume": lost,
            "uncertain": ~lost & (confidence < self.doubtful),
        }
        return tuple(
            f"{text}: {', '.join(np.array(self.names)[which])}" for text, which in texts.items() if which.any()
        )


def cut_cube(grey: torch.Tensor, first: np.ndarray, size: int) -> torch.Tensor:
    """(size, size, size) of ``grey`` (z, y, x) from voxel ``first`` (x, y, z) on, black beyond its borders."""
    cube = torch.zeros((size,) * 3, dtype=grey.dtype)
    low, high = np.maximum(first, 0), np.minimum(first + size, np.array(grey.shape[::-1]))
    if (high > low).all():
        (i0, j0, k0), (i1, j1, k1) = low - first, high - first
        cube[k0:k1, j0:j1, i0:i1] = grey[low[2] : high[2], low[1] : high[1], low[0] : high[0]]
    return cube


def within(ratio: np.ndarray) -> np.ndarray:
    """Probability that a normal error in space lies within ``ratio`` standard deviations (Maxwell distribution)."""
    ratio = np.asarray(ratio, dtype=float)
    error_function = np.vectorize(math.erf)(ratio / math.sqrt(2))
    return error_function - math.sqrt(2 / math.pi) * ratio * np.exp(-(ratio**2) / 2)


def _together(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Probability of what two observers who know nothing of each other give as ``first`` and ``second``."""
    both, neither = first * second, (1 - first) * (1 - second)
    return both / np.maximum(both + neither, 1e-30)


def _on_cpu(places: Places) -> Places:
    return Places(*(part.cpu().numpy() for part in places))
