"""Maps of line segments (S0) -> the axes of bones by a Welsch fit -> draggable handles."""

from collections.abc import Sequence
from typing import Literal, NamedTuple

import numpy as np
from torch import Tensor

from orthoangles.geometry import welsch_line_fit
from orthoangles.networks.decoding import DecodedPoints
from orthoangles.networks.landmarks import STRIDE
from orthoangles.segments import HANDLES, handles_between, to_pixels

BONES = ("proximal phalanx of the great toe", "first metatarsal", "second metatarsal")
"""What the maps show, in the order of the landmarks of ``foot-ap-hallux``."""


MODES = ("paper", "code", "weighted")


class SegmentDecoder:
    """Foreground of every map -> Welsch fit -> five handles a bone, from the lower end (proximal: toes point up).

    Args:
        mode: the foreground is where the probability exceeds 0.5 (``paper``), or half of the map's largest (``code``),
            every cell counting alike; or every cell from ``least`` on counts as much as it is probable (``weighted``),
            which tells the line more finely than by whole cells.
        width: of the segments that the network was trained to draw, in cells. The constant of the Welsch fit goes with
            it: 2.9846 cells, S0's, at a width of 4.
        least: a bone whose map stays below this probability everywhere is not found.
        doubtful: below this confidence a bone is named in a warning.
        scale, floor: the spread of a handle in pixels is ``sqrt((scale * wave)^2 + floor^2)``, where ``wave`` is how
            far the middles of fifths of the segment lie off its line (root mean square).
        bones: names for warnings.

    The confidence of a bone's handles is the mean probability along the segment, times the share of the foreground that
    belongs to it.

    The foreground itself is not handed on. Measuring would fit an axis to handles and foreground together, and five
    handles could not outweigh some hundred points: a reader who drags them would move nothing. The handles lie on the
    fitted line, so that they alone measure the same angle, move it, and carry its interval.
    """

    def __init__(
        self,
        mode: Literal["paper", "code", "weighted"] = "weighted",
        width: float = 4.0,
        least: float = 0.1,
        doubtful: float = 0.5,
        scale: float = 1.0,
        floor: float = 1.0,
        bones: Sequence[str] = BONES,
    ) -> None:
        if mode not in MODES:
            raise ValueError(f"mode is '{mode}', expected one of {', '.join(MODES)}")
        self.mode, self.width, self.least, self.doubtful = mode, width, least, doubtful
        self.scale, self.floor, self.bones = scale, floor, tuple(bones)

    def __call__(self, output: Tensor) -> DecodedPoints:
        """``output`` (n, h, w) logits of n bones of one image; 5 n points, NaN where a bone was not found."""
        axes = [self._axis(map_) for map_ in output.detach().float().sigmoid().cpu().double().numpy()]
        ends = np.stack([axis.ends for axis in axes])
        confidence = np.array([axis.confidence for axis in axes])
        wave = STRIDE * np.array([axis.wave for axis in axes])
        return DecodedPoints(
            points=handles_between(to_pixels(ends, STRIDE)),
            confidence=confidence.repeat(HANDLES),
            spread=np.hypot(self.scale * wave, self.floor).repeat(HANDLES),
            warnings=self._warnings(confidence),
        )

    def foreground(self, probability: np.ndarray) -> np.ndarray:
        """Cells (m, 2) (x, y) of a map (h, w) of probabilities that count for its axis; none below ``least``."""
        peak = probability.max()
        if peak < self.least:
            return np.empty((0, 2), dtype=int)
        threshold = {"paper": 0.5, "code": peak / 2, "weighted": self.least}[self.mode]
        rows, columns = np.nonzero(probability > threshold)
        return np.stack([columns, rows], axis=1)

    def _axis(self, probability: np.ndarray) -> "_Axis":
        cells = self.foreground(probability)
        if len(cells) < 2:
            return _NOT_FOUND
        values = probability[cells[:, 1], cells[:, 0]]
        counts = values if self.mode == "weighted" else np.ones_like(values)
        fit = welsch_line_fit(cells, scale=self.width / _PUBLISHED_WIDTH, weights=counts)
        offsets = cells - fit.centre
        along = offsets @ fit.direction
        # Half the weight lies at 5/8 of the width from the axis, just beyond the segment's border.
        inside = _longest_run(along, fit.weights > min(0.5, fit.weights.max() / 2), gap=2 * self.width)
        first, last = _extent(along[inside], counts[inside], self.width)
        if last - first < self.width / 2:
            return _NOT_FOUND
        ends = fit.centre + np.outer([first, last], fit.direction)
        across = offsets[inside] @ np.array([-fit.direction[1], fit.direction[0]])
        certain = np.average(values[inside], weights=values[inside]) * counts[inside].sum() / counts.sum()
        return _Axis(ends[np.argsort(-ends[:, 1])], float(certain), _wave(along[inside], across, counts[inside]))

    def _warnings(self, confidence: np.ndarray) -> tuple[str, ...]:
        lost = [name for name, value in zip(self.bones, confidence, strict=True) if value == 0]
        weak = [name for name, value in zip(self.bones, confidence, strict=True) if 0 < value < self.doubtful]
        found = (("not found in the image", lost), ("uncertain", weak))
        return tuple(f"{what}: axis of the {', '.join(names)}" for what, names in found if names)


class _Axis(NamedTuple):
    """``ends`` (2, 2) (x, y) in cells, the proximal one first, ``confidence``, and ``wave`` in cells."""

    ends: np.ndarray
    confidence: float
    wave: float


_NOT_FOUND = _Axis(np.full((2, 2), np.nan), 0.0, np.nan)
_PUBLISHED_WIDTH = 4.0
"""Of S0's segments, in cells, whose Welsch constant counts cells too."""


def _longest_run(along: np.ndarray, inside: np.ndarray, gap: float) -> np.ndarray:
    """Which (n,) of the points ``inside`` belong to the run with the most points; runs lie ``gap`` apart and more."""
    order = np.flatnonzero(inside)[np.argsort(along[inside])]
    run = np.concatenate([[0], np.cumsum(np.diff(along[order]) > gap)])
    chosen = np.zeros(len(along), dtype=bool)
    chosen[order[run == np.bincount(run).argmax()]] = True
    return chosen


def _extent(along: np.ndarray, counts: np.ndarray, width: float) -> tuple[float, float]:
    """Where a segment begins and ends whose points lie at ``along`` (n,) and count ``counts`` (n,)."""
    mean = np.average(along, weights=counts)
    half = np.sqrt(3 * np.average((along - mean) ** 2, weights=counts))
    # A round end has the area of a square one that is pi/8 of the width long.
    return mean - half + np.pi / 8 * width, mean + half - np.pi / 8 * width


def _wave(along: np.ndarray, across: np.ndarray, counts: np.ndarray) -> float:
    """Root mean square of the mean distances from the line in each of five parts of a segment."""
    part = np.minimum((along - along.min()) / np.ptp(along) * HANDLES, HANDLES - 1).astype(int)
    count = np.bincount(part, counts, HANDLES)
    means = np.bincount(part, across * counts, HANDLES)[count > 0] / count[count > 0]
    return float(np.sqrt((means**2).mean()))
