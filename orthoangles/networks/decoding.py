"""Network output -> landmarks of one image, with the doubts that a reader must see."""

from dataclasses import dataclass

import numpy as np
from torch import Tensor

from orthoangles.heatmaps import Peaks, decode_peaks
from orthoangles.networks.vertebrae import STRIDE, branches


@dataclass(frozen=True, eq=False)
class DecodedPoints:
    """Landmarks in the network's frame.

    ``points`` (n, 2) float64 (x, y) in frame pixels, NaN rows where nothing was found; ``confidence`` (n,) 0..1;
    ``spread`` (n,) one standard deviation per coordinate in frame pixels; ``warnings`` for the reader.
    """

    points: np.ndarray
    confidence: np.ndarray
    spread: np.ndarray
    warnings: tuple[str, ...]


class VertebraDecoder:
    """Peaks of the centre heatmap -> ``count`` vertebrae, four corners each, from the top.

    Args:
        count: vertebrae that the protocol asks for.
        threshold: lowest heatmap value of a vertebra.
        doubtful: below this a vertebra is named in a warning.
        reach: half width of the neighbourhood that votes for centre and corners; 0 decodes as S3 does.

    With fewer peaks than ``count``, a gap of more than ``gap`` times the local spacing keeps its rows empty, and the
    numbering is said to be uncertain: which end is missing cannot be told from the peaks.
    """

    gap = 1.6

    def __init__(self, count: int = 17, threshold: float = 0.05, doubtful: float = 0.25, reach: int = 1) -> None:
        self.count, self.threshold, self.doubtful, self.reach = count, threshold, doubtful, reach

    def __call__(self, output: Tensor) -> DecodedPoints:
        """``output`` is (channels, h, w), float32."""
        maps = {name: value[0] for name, value in branches(output[None].float().cpu()).items()}
        peaks = decode_peaks(maps, self.count, self.threshold, self.reach)
        slots = self._slots(peaks.centres.numpy())
        points = np.full((self.count, 4, 2), np.nan)
        confidence = np.zeros((self.count, 4))
        spread = np.full((self.count, 4), np.nan)
        points[slots] = peaks.corners.numpy() * STRIDE
        confidence[slots] = peaks.confidence.numpy()[:, None]
        # A Laplace distribution of scale b has a standard deviation of sqrt(2) b.
        spread[slots] = peaks.spread.numpy() * STRIDE * np.sqrt(2)
        return DecodedPoints(points.reshape(-1, 2), confidence.ravel(), spread.ravel(), self._warnings(peaks, slots))

    def _slots(self, centres: np.ndarray) -> np.ndarray:
        """Row of each vertebra: 0, 1, 2 ... with rows left out at gaps as long as vertebrae are missing."""
        found = len(centres)
        rows = np.arange(found)
        missing = self.count - found
        if missing <= 0 or found < 4:
            return rows
        steps = np.linalg.norm(np.diff(centres, axis=0), axis=1)
        for k, step in enumerate(steps):
            local = np.median(np.delete(steps, k)[max(0, k - 2) : k + 2])
            skipped = min(missing, round(step / local) - 1) if step > self.gap * local else 0
            rows[k + 1 :] += skipped
            missing -= skipped
        return rows

    def _warnings(self, peaks: Peaks, slots: np.ndarray) -> tuple[str, ...]:
        warnings = []
        if len(slots) < self.count:
            warnings.append(
                f"only {len(slots)} of {self.count} vertebrae were found; they are numbered from the top, which may be "
                "wrong: check the levels"
            )
        weak = int((peaks.confidence < self.doubtful).sum())
        if weak:
            warnings.append(f"{weak} vertebrae were found with low confidence (below {self.doubtful:g})")
        return tuple(warnings)
