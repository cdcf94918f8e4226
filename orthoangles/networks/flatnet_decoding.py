"""FlatNet's output -> landmarks of one image."""

from collections.abc import Sequence

import numpy as np
from torch import Tensor

from orthoangles.networks.decoding import DecodedPoints


class FlatNetDecoder:
    """Points with their scores -> landmarks; FlatNet gives no spread.

    Args:
        names: landmark ids, for warnings.
        threshold: below this score a landmark is not found; the published code keeps boxes above 0.05.
        doubtful: below this score a landmark is named in a warning.
    """

    def __init__(self, names: Sequence[str], threshold: float = 0.05, doubtful: float = 0.25) -> None:
        self.names, self.threshold, self.doubtful = tuple(names), threshold, doubtful

    def __call__(self, output: Tensor) -> DecodedPoints:
        """``output`` is (k, 3): x, y in frame pixels and score."""
        values = output.double().cpu().numpy()
        lost = values[:, 2] < self.threshold
        points = np.where(lost[:, None], np.nan, values[:, :2])
        confidence = np.where(lost, 0.0, values[:, 2])
        return DecodedPoints(points, confidence, np.full(len(values), np.nan), self._warnings(lost, confidence))

    def _warnings(self, lost: np.ndarray, confidence: np.ndarray) -> tuple[str, ...]:
        doubtful = ~lost & (confidence < self.doubtful)
        said = (("not found in the image", lost), ("uncertain", doubtful))
        return tuple(f"{what}: {', '.join(np.array(self.names)[which])}" for what, which in said if which.any())
