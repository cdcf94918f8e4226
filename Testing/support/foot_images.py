"""Pictures of feet that need no bones, and a network that knows what is in them."""

from dataclasses import dataclass

import numpy as np
from support.feet import ap_foot, hallux_foot, lateral_foot, on_film, ordered

from orthoangles.foot_views import FootView, upright_feet
from orthoangles.predictions import ModelInfo, Prediction
from orthoangles.protocols import load_protocol

ROWS, COLUMNS = 480, 340
_CORNERS = np.array([[40.0, 60.0, 0.0], [300.0, 440.0, 0.0]])
"""Of a foot's box, within its plate."""
ANGLES = {"foot-ap-hallux": "hallux-valgus-angle", "foot-ap": "hallux-valgus-angle", "foot-lateral": "meary-angle"}
"""Protocol -> the angle that :func:`foot_picture` sets."""


@dataclass(frozen=True, eq=False)
class FootPicture:
    """``pixels`` (rows, columns) uint8; ``feet``: where each foot is and its landmarks (n, 3) in pixels."""

    protocol_id: str
    pixels: np.ndarray
    feet: tuple[tuple[FootView, np.ndarray], ...]

    def write(self, path):
        """Write it as a PNG."""
        from PIL import Image

        Image.fromarray(self.pixels).save(path)
        return path

    def network(self, protocol=None, device: str = "auto") -> "FootNetwork":
        """A network that finds these feet; the arguments are those of a backend factory."""
        return FootNetwork(protocol or load_protocol(self.protocol_id), self.feet, device)


def foot_picture(
    protocol_id: str, angles: tuple[float, ...] = (30.0,), mirrored: tuple[bool, ...] = (False,), turns: int = 0
) -> FootPicture:
    """Feet side by side with these angles, right ones where not mirrored, the picture turned clockwise by quarters."""
    pixels = np.hstack([_plate(k) for k in range(len(angles))])
    feet = []
    for k, (angle, flipped) in enumerate(zip(angles, mirrored, strict=True)):
        points = on_film(ordered(protocol_id, _foot(protocol_id, angle)), mirrored=flipped)
        feet.append(np.vstack([points, _CORNERS]) + np.array([k * COLUMNS, 0, 0]))
    for _ in range(turns):
        feet = [np.column_stack([len(pixels) - 1 - points[:, 1], points[:, 0], points[:, 2]]) for points in feet]
        pixels = np.rot90(pixels, -1)
    kind = load_protocol(protocol_id).view
    found = tuple((FootView(kind, turns, _box(points[-2:]), 0.9, False), points[:-2]) for points in feet)
    return FootPicture(protocol_id, np.ascontiguousarray(pixels), found)


def _plate(number: int) -> np.ndarray:
    """A dark plate with a bright foot-like bar, brighter towards the top, each another."""
    plate = np.full((ROWS, COLUMNS), 20.0)
    plate[100:400, 120:220] = np.linspace(220 - 20 * number, 90, 300)[:, None]
    return plate.astype(np.uint8)


def _foot(protocol_id: str, angle: float) -> dict[str, np.ndarray]:
    if protocol_id == "foot-ap-hallux":
        return hallux_foot(hva=angle, ima=12.5)
    if protocol_id == "foot-ap":
        return ap_foot(hva=angle, talocalcaneal=30.0, coverage=12.0, mt1_talar=-9.0)
    points = lateral_foot(meary=angle, pitch=14.0)
    return {name: place - [75.0, 40.0] for name, place in points.items()}


def _box(corners: np.ndarray) -> tuple[float, float, float, float]:
    low, high = corners[:, :2].min(axis=0), corners[:, :2].max(axis=0)
    return float(low[0]), float(low[1]), float(high[0]), float(high[1])


class FootNetwork:
    """A backend that finds the feet it was told of, each with one uncertain landmark."""

    def __init__(self, protocol, feet, device: str = "auto") -> None:
        self.protocol, self.feet, self.device = protocol, feet, device

    def views(self, image):
        return upright_feet(image, [view for view, _ in self.feet], self.protocol)

    def predict(self, image, *, progress=None, cancelled=None) -> Prediction:
        if progress is not None:
            progress(0.5, "Looking for landmarks")
        points = next(points for _, points in self.feet if self._inside(image, points))
        confidence = np.full(len(points), 0.9)
        confidence[3] = 0.4
        return Prediction(
            self.protocol.id, self.protocol.landmark_ids, points, confidence, np.full(len(points), 0.5),
            ModelInfo("feet", "1.0", "0" * 64),
        )  # fmt: skip

    @staticmethod
    def _inside(image, points: np.ndarray) -> bool:
        index = image.index_points(points[np.isfinite(points).all(axis=1)])[:, :2]
        return bool((index >= 0).all() and (index < image.size[:2]).all())
