"""Brings a radiograph of any size and spacing into the frame of a network, and its points back out.

The same transform serves packing for training and prediction; geometry travels in the affine of a MetaTensor.
"""

from collections.abc import Sequence

import numpy as np
import torch
from monai.data import MetaTensor
from monai.transforms import Transform
from torch.nn import functional as F


class GreyRange(Transform):
    """Scales grey values so that the ``low`` and ``high`` percentiles become 0 and 1, clipped; float32."""

    def __init__(self, low: float = 1.0, high: float = 99.0) -> None:
        self.low, self.high = low, high

    def __call__(self, image: MetaTensor) -> MetaTensor:
        values = image.as_tensor().numpy()
        low, high = np.percentile(values[..., :: max(1, values.shape[-1] // 512)], (self.low, self.high))
        scaled = (image.float() - float(low)) / max(float(high - low), 1e-6)
        return scaled.clamp_(0, 1)


class Letterbox(Transform):
    """Fits the whole image into ``size`` (rows, columns), shape kept, centred on black.

    Input and output are (1, rows, columns) MetaTensors whose affine maps (row, column) index to the plane in mm; a
    different spacing of rows and columns is evened out. Smoothed before it shrinks (antialiased bilinear).
    """

    def __init__(self, size: Sequence[int]) -> None:
        self.size = tuple(size)

    def __call__(self, image: MetaTensor) -> MetaTensor:
        spacing = np.linalg.norm(np.asarray(image.affine)[:2, :2], axis=0)
        extent = spacing * image.shape[-2:]
        step = float(np.max(extent / self.size))
        inner = np.clip(np.rint(extent / step).astype(int), 1, self.size)
        small = F.interpolate(
            image.as_tensor()[None].float(), tuple(inner), mode="bilinear", align_corners=False, antialias=True
        )[0]
        before = (np.array(self.size) - inner) // 2
        after = np.array(self.size) - inner - before
        framed = F.pad(small, (before[1], after[1], before[0], after[0]))
        return MetaTensor(framed, affine=image.affine @ self._to_input(image.shape[-2:], inner, before))

    @staticmethod
    def _to_input(shape: Sequence[int], inner: np.ndarray, before: np.ndarray) -> torch.Tensor:
        """Index in the frame -> index in the input; pixel centres are whole numbers."""
        scale = np.array(shape) / inner
        matrix = np.eye(len(shape) + 2)[: len(shape) + 1, : len(shape) + 1]
        matrix[:2, :2] = np.diag(scale)
        matrix[:2, -1] = (0.5 - before) * scale - 0.5
        return torch.from_numpy(matrix)


def plane_image(pixels: np.ndarray, spacing: Sequence[float] = (1.0, 1.0)) -> MetaTensor:
    """(rows, columns) grey values -> (1, rows, columns) MetaTensor; ``spacing`` in mm of rows and columns."""
    values = torch.from_numpy(np.ascontiguousarray(pixels, dtype=np.float32))[None]
    return MetaTensor(values, affine=torch.diag(torch.tensor([spacing[0], spacing[1], 1.0], dtype=torch.float64)))


def to_plane(framed: MetaTensor, points: np.ndarray) -> np.ndarray:
    """(..., 2) points (x, y) in frame pixels -> (..., 2) (x, y) in the plane, mm from the first pixel's centre."""
    affine = np.asarray(framed.affine)
    return (points[..., ::-1] @ affine[:2, :2].T + affine[:2, -1])[..., ::-1]


def from_plane(framed: MetaTensor, points: np.ndarray) -> np.ndarray:
    """Inverse of :func:`to_plane`."""
    affine = np.asarray(framed.affine)
    return ((points[..., ::-1] - affine[:2, -1]) @ np.linalg.inv(affine[:2, :2]).T)[..., ::-1]
