"""What a network says about one image. Free of torch, so that scene, annotation and tests can make one."""

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np


@dataclass(frozen=True)
class ModelInfo:
    """Which weights made a prediction: bundle name, version and the SHA-256 (hex) of the weights file."""

    name: str
    version: str
    sha256: str


@dataclass(frozen=True, eq=False)
class Prediction:
    """Landmarks proposed for one image.

    ``points`` is (n, 3) float64, LPS mm, NaN rows where nothing was found; ``confidence`` (n,) in 0..1 and ``spread``
    (n,) one standard deviation in mm, NaN where unknown; ``foreground`` maps an axis id to its (m, 3) LPS points.
    ``warnings`` say what of a prediction a reader should check; an empty tuple means that all checks passed. ``side``
    is "left" or "right" where the network itself told the foot's side, else None.
    """

    protocol: str
    landmark_ids: tuple[str, ...]
    points: np.ndarray
    confidence: np.ndarray
    spread: np.ndarray
    model: ModelInfo
    foreground: Mapping[str, np.ndarray] = field(default_factory=dict)
    warnings: tuple[str, ...] = ()
    device: str = "cpu"
    seconds: float = float("nan")
    side: str | None = None

    def __post_init__(self) -> None:
        n = len(self.landmark_ids)
        for name, shape in (("points", (n, 3)), ("confidence", (n,)), ("spread", (n,))):
            value = np.asarray(getattr(self, name), dtype=np.float64)
            if value.shape != shape:
                raise ValueError(f"{name} has shape {value.shape}, expected {shape}")
            object.__setattr__(self, name, value)
