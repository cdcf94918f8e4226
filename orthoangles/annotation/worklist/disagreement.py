"""How far readers of one image, and the network, are apart: what is worth a second look comes first."""

from collections.abc import Iterable, Sequence
from itertools import combinations

import numpy as np

from orthoangles.annotation.dataset import Case, Dataset
from orthoangles.errors import DatasetError
from orthoangles.protocols import Protocol


class Disagreement:
    """Mean distance between two sets of landmarks of one image, the largest of all pairs.

    In mm, in pixels where the spacing is not known. Each case is read once.
    """

    def __init__(self, dataset: Dataset, protocol: Protocol) -> None:
        self._dataset, self._protocol = dataset, protocol
        self._read: dict[tuple[str, int], tuple[np.ndarray, ...]] = {}

    def of(self, cases: Iterable[Case]) -> float:
        """Between the readers of ``cases``, all of one image file, and what was proposed to them.

        NaN where there is nothing to compare. Cases of different feet are not compared with each other.
        """
        by_image: dict[str, list[np.ndarray]] = {}
        for case in cases:
            by_image.setdefault(_image(case), []).extend(self._points(case))
        found = [apart for sets in by_image.values() for apart in _distances(sets)]
        return max(found, default=float("nan"))

    def _points(self, case: Case) -> tuple[np.ndarray, ...]:
        key = (case.id, case.revision)
        if key not in self._read:
            ids = self._protocol.landmark_ids
            try:
                sets = (self._dataset.read_points(case, ids), self._dataset.read_predicted(case, ids))
            except DatasetError:
                return ()  # replaced by another reader this moment; the next look finds the new one
            self._read[key] = tuple(points for points in sets if points is not None)
        return self._read[key]


def _image(case: Case) -> str:
    return case.provenance.get("image", {}).get("sha256", case.group)


def _distances(sets: Sequence[np.ndarray]) -> list[float]:
    apart = [np.linalg.norm(a - b, axis=1) for a, b in combinations(sets, 2)]
    return [float(np.nanmean(each)) for each in apart if np.isfinite(each).any()]
