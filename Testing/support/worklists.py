"""Folders of small radiographs to work through, and networks that need no weights."""

from pathlib import Path

import numpy as np

from orthoangles.images import Image
from orthoangles.predictions import ModelInfo, Prediction
from orthoangles.protocols import load_protocol
from orthoangles.subjects import Subject

SPINE = load_protocol("spine-ap-cobb")
MODEL = ModelInfo("stand-in", "1.0", "5" * 64)


def write_radiographs(folder: Path, *names: str) -> list[Path]:
    """PNG files of 40 x 60 noisy pixels, each another picture."""
    from PIL import Image as Picture

    folder.mkdir(parents=True, exist_ok=True)
    for k, name in enumerate(names):
        Picture.fromarray(np.random.default_rng(k).integers(0, 255, (60, 40), dtype=np.uint8)).save(folder / name)
    return [folder / name for name in names]


def spine_guess(confidence: float = 0.9, at: float = 5.0, **changes) -> Prediction:
    """A prediction with all 68 landmarks at (at, at, 0)."""
    values = {
        "protocol": SPINE.id,
        "landmark_ids": SPINE.landmark_ids,
        "points": np.tile((at, at, 0.0), (68, 1)),
        "confidence": np.full(68, confidence),
        "spread": np.full(68, 0.5),
        "model": MODEL,
    }
    return Prediction(**{**values, **changes})


def whole(image: Image, prediction: Prediction | None = None) -> Subject:
    """The spine of ``image`` as the only subject."""
    return Subject(image, prediction or spine_guess(), None, False, True, True)
