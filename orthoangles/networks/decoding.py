"""Network output -> landmarks of one image, with the doubts that a reader must see."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from torch import Tensor

from orthoangles.heatmaps import decode_peaks
from orthoangles.networks.landmarks import STRIDE as LANDMARK_STRIDE
from orthoangles.networks.landmarks import place_probability
from orthoangles.networks.vertebrae import STRIDE, branches


@dataclass(frozen=True, eq=False)
class DecodedPoints:
    """Landmarks in the network's frame.

    ``points`` (n, 2) float64 (x, y) in frame pixels, NaN rows where nothing was found; ``confidence`` (n,) 0..1;
    ``spread`` (n,) one standard deviation per coordinate in frame pixels; ``warnings`` for the reader; ``foreground``
    maps an axis id to its (m, 2) points where the method has them.
    """

    points: np.ndarray
    confidence: np.ndarray
    spread: np.ndarray
    warnings: tuple[str, ...]
    foreground: Mapping[str, np.ndarray] = field(default_factory=dict)


class VertebraDecoder:
    """Peaks of the centre heatmap -> ``count`` vertebrae, four corners each, from the top.

    Args:
        count: vertebrae that the protocol asks for.
        threshold: lowest heatmap value of a vertebra.
        doubtful: below this a vertebra is named in a warning.
        reach: half width of the neighbourhood that votes for centre and corners; 0 decodes as S3 does.
        margin: a vertebra beyond an end whose heatmap value comes this close to that end's makes the levels doubtful.

    The ``count`` strongest peaks are the column (S3), unless that leaves a hole where a weaker peak stands: a spine has
    no holes, so the weaker peak is taken and the weaker end given up. With fewer peaks than ``count``, a hole keeps its
    rows empty, and the numbering is said to be uncertain: which end is missing cannot be told from the peaks.
    """

    hole = 1.6
    """A step between neighbours of more than this times the steps around it is a hole."""

    def __init__(
        self,
        count: int = 17,
        threshold: float = 0.05,
        doubtful: float = 0.25,
        reach: int = 1,
        margin: float = 0.05,
    ) -> None:
        self.count, self.threshold, self.doubtful = count, threshold, doubtful
        self.reach, self.margin = reach, margin

    def __call__(self, output: Tensor) -> DecodedPoints:
        """``output`` is (channels, h, w), float32."""
        maps = {name: value[0] for name, value in branches(output[None].float().cpu()).items()}
        peaks = decode_peaks(maps, 2 * self.count, self.threshold, self.reach)
        centres, strength = peaks.centres.numpy(), peaks.confidence.numpy()
        column = self._column(centres, strength)
        slots = self._slots(centres[column])
        points = np.full((self.count, 4, 2), np.nan)
        confidence = np.zeros((self.count, 4))
        spread = np.full((self.count, 4), np.nan)
        points[slots] = peaks.corners.numpy()[column] * STRIDE
        confidence[slots] = strength[column, None]
        # A Laplace distribution of scale b has a standard deviation of sqrt(2) b.
        spread[slots] = peaks.spread.numpy()[column] * STRIDE * np.sqrt(2)
        warnings = self._warnings(strength, column)
        return DecodedPoints(points.reshape(-1, 2), confidence.ravel(), spread.ravel(), warnings)

    def _column(self, centres: np.ndarray, strength: np.ndarray) -> np.ndarray:
        """Which peaks, given from top to bottom, are the vertebrae: sorted indices, ``count`` at most."""
        chosen = np.sort(np.argsort(-strength, kind="stable")[: self.count])
        while len(chosen) == self.count:
            filled = self._fill_hole(centres, strength, chosen)
            if filled is None:
                break
            chosen = filled
        return chosen

    def _fill_hole(self, centres: np.ndarray, strength: np.ndarray, chosen: np.ndarray) -> np.ndarray | None:
        """``chosen`` with the strongest peak of its first fillable hole, less its weaker end; None without one."""
        for k in np.flatnonzero(self._steps_in_spacings(centres[chosen]) > self.hole):
            inside = np.arange(chosen[k] + 1, chosen[k + 1])
            if len(inside):
                better = np.sort([*chosen, inside[strength[inside].argmax()]])
                return better[1:] if strength[better[0]] < strength[better[-1]] else better[:-1]
        return None

    @staticmethod
    def _steps_in_spacings(centres: np.ndarray) -> np.ndarray:
        """Distances of neighbouring centres (n, 2) in units of the median of the four around each; (n - 1,)."""
        steps = np.linalg.norm(np.diff(centres, axis=0), axis=1)
        return np.array([step / np.median(np.delete(steps, k)[max(0, k - 2) : k + 2]) for k, step in enumerate(steps)])

    def _slots(self, centres: np.ndarray) -> np.ndarray:
        """Row of each vertebra: 0, 1, 2 ... with rows left out at holes as long as vertebrae are missing."""
        rows = np.arange(len(centres))
        missing = self.count - len(centres)
        if missing <= 0 or len(centres) < 4:
            return rows
        for k, spacings in enumerate(self._steps_in_spacings(centres)):
            skipped = min(missing, round(spacings) - 1) if spacings > self.hole else 0
            rows[k + 1 :] += skipped
            missing -= skipped
        return rows

    def _warnings(self, strength: np.ndarray, column: np.ndarray) -> tuple[str, ...]:
        warnings = []
        if len(column) < self.count:
            warnings.append(
                f"only {len(column)} of {self.count} vertebrae were found; they are numbered from the top, which may "
                "be wrong: check the levels"
            )
        else:
            for beyond, end, side in ((column[0] - 1, column[-1], "above"), (column[-1] + 1, column[0], "below")):
                if 0 <= beyond < len(strength) and strength[beyond] > strength[end] - self.margin:
                    warnings.append(f"one more vertebra {side} the column looks as likely: check the levels")
        weak = int((strength[column] < self.doubtful).sum())
        if weak:
            warnings.append(f"{weak} vertebrae were found with low confidence (below {self.doubtful:g})")
        return tuple(warnings)


class HeatmapDecoder:
    """Heatmaps of a :class:`~orthoangles.networks.landmarks.LandmarkNet` -> landmarks, with an honest spread.

    Args:
        names: landmark ids, for warnings.
        reach: half width in cells of the window around the peak whose mean is the landmark.
        sigma: standard deviation in cells of the Gaussian that the network was trained to draw.
        scale, floor: the spread in pixels is ``sqrt((scale * excess)^2 + floor^2)``, where ``excess`` is what the map
            is wider than that Gaussian; fitted on validation cases (``tools/calibrate_landmarks.py``).
        tolerance: the confidence is the probability that the landmark lies within this many pixels of its true place,
            if errors are normal with that spread in each direction.
        doubtful: below this confidence a landmark is named in a warning.

    A landmark whose absence is more probable than all places together is not found.
    """

    def __init__(
        self,
        names: Sequence[str],
        reach: int = 3,
        sigma: float = 1.0,
        scale: float = 1.0,
        floor: float = 1.0,
        tolerance: float = 5.0,
        doubtful: float = 0.5,
    ) -> None:
        self.names, self.reach, self.sigma = tuple(names), reach, sigma
        self.scale, self.floor, self.tolerance, self.doubtful = scale, floor, tolerance, doubtful

    def __call__(self, output: tuple[Tensor, Tensor]) -> DecodedPoints:
        """``output`` is maps (k, h, w) and absence (k,) of one image."""
        maps, absence = (part.float().cpu() for part in output)
        places, nowhere = (part.exp().double().numpy() for part in place_probability(maps, absence))
        probability = places.reshape(maps.shape)
        cells, excess = self._places(probability / np.maximum(1 - nowhere, 1e-12)[:, None, None])
        points = LANDMARK_STRIDE * cells + (LANDMARK_STRIDE - 1) / 2
        spread = np.hypot(self.scale * LANDMARK_STRIDE * excess, self.floor)
        confidence = (1 - nowhere) * (1 - np.exp(-(self.tolerance**2) / (2 * spread**2)))
        lost = nowhere > 0.5
        points[lost], spread[lost], confidence[lost] = np.nan, np.nan, 0.0
        return DecodedPoints(points, confidence, spread, self._warnings(lost, confidence))

    def _places(self, probability: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Means (k, 2) (x, y) in cells near the peaks, and how much wider (k,) than drawn the maps (k, h, w) are."""
        rows, columns = (np.arange(n) for n in probability.shape[1:])
        flat = probability.reshape(len(probability), -1)
        peak = np.stack(np.unravel_index(flat.argmax(1), probability.shape[1:])[::-1], -1).astype(float)
        near_x = np.abs(columns - peak[:, :1]) <= self.reach
        near_y = np.abs(rows - peak[:, 1:]) <= self.reach
        window = probability * near_y[:, :, None] * near_x[:, None, :]
        window /= window.sum((1, 2), keepdims=True)
        means = np.stack([window.sum(1) @ columns, window.sum(2) @ rows], -1)
        away_x = (columns - means[:, :1]) ** 2
        away_y = (rows - means[:, 1:]) ** 2
        variance = ((probability.sum(1) * away_x).sum(1) + (probability.sum(2) * away_y).sum(1)) / 2
        return means, np.sqrt(np.maximum(variance - self.sigma**2, 0.0))

    def _warnings(self, lost: np.ndarray, confidence: np.ndarray) -> tuple[str, ...]:
        warnings = []
        if lost.any():
            warnings.append(f"not found in the image: {', '.join(np.array(self.names)[lost])}")
        doubtful = ~lost & (confidence < self.doubtful)
        if doubtful.any():
            warnings.append(f"uncertain: {', '.join(np.array(self.names)[doubtful])}")
        return tuple(warnings)
