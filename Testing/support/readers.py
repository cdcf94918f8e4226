"""Readers of simulated spines: datasets that know how far each reader is from the other."""

from pathlib import Path

import numpy as np

from orthoangles.annotation.exporting import Review, export_case
from orthoangles.images import Image
from orthoangles.predictions import ModelInfo, Prediction
from orthoangles.protocols import load_protocol
from orthoangles.simulation.spine.drawn import simulate_spine

PROTOCOL = "spine-ap-cobb"


def spine(number: int, spacing: float | None = None) -> tuple[Image, np.ndarray]:
    """The image and the true landmarks (68, 3) LPS mm of a small simulated spine."""
    drawn = simulate_spine(number, (240, 120))
    if spacing is None:
        return Image(drawn.image[None], name=f"{number}.png"), drawn.points
    image = Image(drawn.image[None], spacing=(spacing, spacing, 1), spacing_source="PixelSpacing", name=f"{number}.png")
    return image, drawn.points * [spacing, spacing, 1]


def jitter(points: np.ndarray, deviation: float, seed: int) -> np.ndarray:
    """Points moved in the image by normal noise."""
    moved = points.copy()
    moved[:, :2] += np.random.default_rng(seed).normal(0, deviation, (len(points), 2))
    return moved


def proposal(points: np.ndarray, sha256: str = "ab" * 32) -> Prediction:
    """What a network could have said."""
    protocol, count = load_protocol(PROTOCOL), len(points)
    model = ModelInfo("spine_ap_cobb", "1.0", sha256)
    return Prediction(PROTOCOL, protocol.landmark_ids, points, np.full(count, 0.9), np.full(count, 1.0), model)


def read_case(folder: Path, image: Image, points: np.ndarray, reader: str, **options) -> str:
    """Export one reading; ``review`` and what else :func:`export_case` takes may be given."""
    review = options.pop("review", None) or Review(reader, "confirmed", seconds=30.0)
    return export_case(folder, image=image, protocol=PROTOCOL, points=points, review=review, **options)
