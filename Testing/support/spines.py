"""Spines made of numbers: landmarks of a curved column, a picture of it, and a prediction of it."""

import numpy as np

from orthoangles.images import Image
from orthoangles.predictions import ModelInfo, Prediction
from orthoangles.protocols import load_protocol

PROTOCOL = "spine-ap-cobb"
SIZE = (360, 900)  # columns, rows
SPACING = 0.5  # mm
A_MODEL = ModelInfo("spine_ap_cobb", "0.1.0", "0" * 64)


def spine_points(thoracic: float = 38.0, lumbar: float = 30.0) -> np.ndarray:
    """(68, 3) LPS mm: 17 vertebrae along a double curve whose tilt swings by these degrees in chest and loin."""
    t = (np.arange(17) + 0.5) / 17
    tilt = np.radians(_tilt(t, thoracic, lumbar))
    heights = np.linspace(15.0, 30.0, 17)
    widths = np.linspace(28.0, 46.0, 17)
    steps = heights * 1.18
    x = 90.0 + np.cumsum(-np.sin(tilt) * steps)
    y = 25.0 + np.cumsum(np.cos(tilt) * steps) - steps[0]
    across = np.stack([np.cos(tilt), np.sin(tilt)], axis=1) * widths[:, None] / 2
    down = np.stack([-np.sin(tilt), np.cos(tilt)], axis=1) * heights[:, None] / 2
    centre = np.stack([x, y], axis=1)
    corners = [centre - across - down, centre + across - down, centre - across + down, centre + across + down]
    points = np.zeros((68, 3))
    points[:, :2] = np.stack(corners, axis=1).reshape(68, 2)
    return points


def _tilt(t: np.ndarray, thoracic: float, lumbar: float) -> np.ndarray:
    """Degrees, clockwise: from the top over the thoracic swing to the lumbar one."""
    return np.interp(t, [0.0, 0.12, 0.55, 0.9, 1.0], [-4.0, -thoracic / 2, thoracic / 2, thoracic / 2 - lumbar, 0.0])


def spine_image(points: np.ndarray | None = None, **facts) -> Image:
    """A flat picture of the spine: bright blocks on a soft ground; ``facts`` are further fields of Image."""
    points = spine_points() if points is None else points
    rows, columns = np.mgrid[0 : SIZE[1], 0 : SIZE[0]] * SPACING
    pixels = 60.0 + 30.0 * np.exp(-(((columns - 90.0) / 50.0) ** 2))
    for corners in points.reshape(17, 4, 3)[:, [0, 1, 3, 2], :2]:
        inside = np.ones(pixels.shape, dtype=bool)
        for (x0, y0), (x1, y1) in zip(corners, np.roll(corners, -1, axis=0), strict=True):
            inside &= (x1 - x0) * (rows - y0) - (y1 - y0) * (columns - x0) >= 0
        pixels[inside] += 70.0
    noise = np.random.default_rng(7).normal(0.0, 4.0, pixels.shape)
    values = {"spacing": (SPACING, SPACING, 1.0), "spacing_source": "PixelSpacing", "name": "a spine.png", **facts}
    return Image(np.clip(pixels + noise, 0, 255).astype(np.uint8)[None], **values)


def spine_prediction(points: np.ndarray | None = None, spread: float = 0.8) -> Prediction:
    """What a network would say of it; confidence falls from top to bottom."""
    ids = load_protocol(PROTOCOL).landmark_ids
    points = spine_points() if points is None else points
    confidence = np.where(np.isnan(points[:, 0]), np.nan, np.linspace(0.95, 0.45, len(ids)))
    return Prediction(PROTOCOL, ids, points, confidence, np.full(len(ids), spread), A_MODEL)
