"""All readings as arrays, and the comparisons made of them."""

from collections.abc import Sequence

import numpy as np

from orthoangles.agreement_statistics import intraclass_correlation, intraclass_interval, shorter_way
from orthoangles.annotation.agreement.comparisons import (
    AngleAgreement,
    AngleComparison,
    ComparedImage,
    LandmarkAgreement,
    LandmarkComparison,
    Pair,
    Series,
)
from orthoangles.protocols import Protocol


class ReadingGrid:
    """Values (series, images, measurements) and points (series, images, landmarks, 3), NaN where there is none."""

    def __init__(self, protocol: Protocol, series: Sequence[Series], images: Sequence[ComparedImage]) -> None:
        self._protocol, self._series = protocol, list(series)
        self._values = np.full((len(series), len(images), len(protocol.measurements)), np.nan)
        self._points = np.full((len(series), len(images), len(protocol.landmarks), 3), np.nan)
        self._read = np.zeros((len(series), len(images)), dtype=bool)
        # mm count only where every reader's copy of the image knows its spacing.
        self._in_mm = np.array([all(reading.in_mm for reading in image.readings) for image in images])
        for s, each in enumerate(series):
            for i, image in enumerate(images):
                if reading := image.reading(each):
                    self._values[s, i], self._points[s, i], self._read[s, i] = reading.values, reading.points, True

    def angle(self, column: int, pairs: Sequence[Pair]) -> AngleAgreement:
        definition = self._protocol.measurements[column]
        turns = definition.unit == "deg"
        comparisons = tuple(self._compared(self._values[..., column], pair, turns) for pair in pairs)
        icc, interval, images = self._among_readers(self._values[..., column], turns)
        return AngleAgreement(definition.id, definition.name, definition.unit, comparisons, icc, interval, images)

    def _compared(self, values: np.ndarray, pair: Pair, turns: bool) -> AngleComparison:
        a, b, read = self._rows(pair)
        first, second = values[a], values[b]
        has_first, has_second = np.isfinite(first), np.isfinite(second)
        (images,) = (has_first & has_second).nonzero()
        first, second = first[images], second[images]
        return AngleComparison(
            pair,
            images,
            first,
            first + shorter_way(second - first) if turns else second,
            int((read & has_first & ~has_second).sum()),
            int((read & has_second & ~has_first).sum()),
        )

    def _among_readers(self, values: np.ndarray, turns: bool) -> tuple[float, tuple[float, float], int]:
        rows = [s for s, each in enumerate(self._series) if each.number == 1 and not each.is_model]
        if len(rows) < 3:
            return float("nan"), (float("nan"), float("nan")), 0
        ratings = values[rows].T
        ratings = ratings[np.isfinite(ratings).all(axis=1)]
        if turns:
            ratings = ratings[:, :1] + shorter_way(ratings - ratings[:, :1])
        return intraclass_correlation(ratings), intraclass_interval(ratings), len(ratings)

    def landmark(self, row: int, pairs: Sequence[Pair]) -> LandmarkAgreement:
        landmark = self._protocol.landmarks[row]
        return LandmarkAgreement(landmark.id, landmark.name, tuple(self._apart(row, pair) for pair in pairs))

    def _apart(self, row: int, pair: Pair) -> LandmarkComparison:
        a, b, read = self._rows(pair)
        first, second = self._points[a, :, row], self._points[b, :, row]
        has_first, has_second = np.isfinite(first).all(axis=1), np.isfinite(second).all(axis=1)
        (images,) = (has_first & has_second).nonzero()
        return LandmarkComparison(
            pair,
            images,
            np.linalg.norm(first[images] - second[images], axis=1),
            self._in_mm[images],
            int((read & has_first & ~has_second).sum()),
            int((read & has_second & ~has_first).sum()),
        )

    def _rows(self, pair: Pair) -> tuple[int, int, np.ndarray]:
        """Rows of the two series, and (images,) which both have read."""
        a, b = self._series.index(pair.first), self._series.index(pair.second)
        return a, b, self._read[a] & self._read[b]
