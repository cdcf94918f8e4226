"""A volume without bones around the hand-built standing foot, and what a network could have proposed for it."""

import numpy as np
from support.feet import RIGHT_LPS, ordered, standing_foot

from orthoangles.images import Image
from orthoangles.predictions import ModelInfo, Prediction
from orthoangles.protocols import load_protocol

PROTOCOL = "foot-wbct"
A_MODEL = ModelInfo("wbct-test", "1.0.0", "0" * 64)


def foot_in_volume() -> np.ndarray:
    """(22, 3) LPS mm of a right foot; heel at the back, toes to the front."""
    return ordered(PROTOCOL, standing_foot()) * RIGHT_LPS


def standing_volume(spacing: float = 4.0) -> Image:
    """Air with a block of bone, around :func:`foot_in_volume`: toes to the front, standing, the side not stated."""
    array = np.full((56, 70, 42), -1000, np.int16)
    array[10:20, 15:55, 15:30] = 900
    return Image(
        array,
        spacing=(spacing,) * 3,
        origin=(-80.0, -140.0, -10.0),
        spacing_source="PixelSpacing",
        name="standing.nrrd",
        modality="CT",
    )


def standing_prediction(points: np.ndarray | None = None) -> Prediction:
    """The foot as a network proposes it, less and less certain down the list of landmarks."""
    points = foot_in_volume() if points is None else points
    count = len(points)
    placed = np.isfinite(points[:, 0])
    return Prediction(
        PROTOCOL,
        load_protocol(PROTOCOL).landmark_ids,
        points,
        np.where(placed, np.linspace(0.98, 0.4, count), np.nan),
        np.where(placed, 0.6, np.nan),
        A_MODEL,
    )
