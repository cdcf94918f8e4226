"""A small dataset of reviewed spines: several kinds of images, two readers, a proposal, a rejected image."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from orthoangles.annotation.exporting import Review, export_case
from orthoangles.images import Image
from orthoangles.predictions import ModelInfo, Prediction
from orthoangles.protocols import load_protocol
from orthoangles.simulation.spine.drawn import simulate_spine

PROTOCOL = "spine-ap-cobb"
PLACED = {
    "spacing": (0.143, 0.2, 1.0),
    "origin": (3.0, -70.5, 9.0),
    "direction": ((0.0, -1.0, 0.0), (1.0, 0.0, 0.0), (0.0, 0.0, 1.0)),
    "spacing_source": "ImagerPixelSpacing",
    "laterality": "L",
    "view": "AP",
    "modality": "DX",
    "patient_age": 12.5,
}


@dataclass(frozen=True)
class ReviewedCase:
    """What :func:`write_reviewed` exports."""

    image: Image
    points: np.ndarray
    prediction: Prediction | None = None
    review: Review = field(default_factory=Review)
    options: dict[str, Any] = field(default_factory=dict)


def reviewed_cases() -> list[ReviewedCase]:
    """Five cases: a plain picture read twice, a placed 16 bit one, negative whole numbers, and a rejected one."""
    spines = [simulate_spine(seed, (256, 128)) for seed in range(4)]
    plain = Image(spines[0].image[None], name="one.png")
    placed = Image(spines[1].image[None].astype(np.uint16) * 16, name="two.dcm", **PLACED)
    negative = Image(spines[2].image[None].astype(np.int16) - 1000, name="three.nrrd")
    dark = Image(spines[3].image[None], name="four.png")
    points = spines[0].points.copy()
    points[[4, 20]] = np.nan
    points[7] = (-3.0, 40.0, 0.0)
    proposed = np.add(spines[0].points, (0.37, 0.37, 0))
    proposed[9] = np.nan
    confidence = np.linspace(0.2, 1, 68)
    confidence[9] = np.nan
    model = ModelInfo("spine_ap_cobb", "1.0", "ab" * 32)
    prediction = Prediction(PROTOCOL, load_protocol(PROTOCOL).landmark_ids, proposed, confidence, confidence * 2, model)
    confirmed = Review("Dr. Lee", "confirmed", "2026-01-02T03:00:00+00:00", "2026-01-02T03:04:00+00:00", 200.0)
    return [
        ReviewedCase(plain, points, prediction, confirmed, {"group": "patient-9", "split": "test"}),
        ReviewedCase(plain, spines[0].points, review=Review("other")),
        ReviewedCase(placed, placed.physical_points(spines[1].points)),
        ReviewedCase(negative, spines[2].points),
        ReviewedCase(dark, np.full((68, 3), np.nan), review=Review("Dr. Lee", "rejected", reason="under-exposed")),
    ]


def write_reviewed(folder: Path) -> list[str]:
    """Export :func:`reviewed_cases` to the dataset in ``folder``; their ids."""
    return [
        export_case(
            folder,
            image=case.image,
            protocol=PROTOCOL,
            points=case.points,
            prediction=case.prediction,
            review=case.review,
            **case.options,
        )
        for case in reviewed_cases()
    ]
