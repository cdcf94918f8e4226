"""X-ray cameras: a point source and a flat detector of square or oblong pixels, in the standing frame.

A camera says which pixel the ray through a point of the foot meets. The same numbers project the landmarks and the
surfaces, so both agree to rounding. Images are as displayed: AP with the toes up and lateral of a right foot at the
right; lateral with the toes at the right and up up. A left foot is the mirror image of a right one
(:meth:`Camera.mirrored`).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from orthoangles.errors import SimulationError

SOURCE_DISTANCE = 1000.0
"""Source to detector in mm: weight-bearing foot radiographs are taken at about 1 m (issue 3)."""
AP_TILT = 15.0
"""Tube tilt of the AP view in degrees, toward the heel: the central ray enters from anterior (issue 3)."""
AP_DETECTOR_DEPTH = 12.0
"""Detector below the sole in mm: cassette lid and cover of the standing plate (5 to 20 mm, inferred)."""
LATERAL_BEAM_HEIGHT = 25.0
"""Height of the horizontal beam over the ground in mm: about that of the navicular's lower border (inferred)."""


@dataclass(frozen=True, eq=False)
class Camera:
    """Where the source is and where each pixel lies, all in mm.

    ``source`` (3,); ``origin`` (3,) centre of pixel (column 0, row 0); the centre of pixel (c, r) lies at ``origin``
    + c * ``column_step`` + r * ``row_step``; ``shape`` is (rows, columns). Raises SimulationError when the source lies
    in the plane of the detector or a number is not finite.
    """

    source: np.ndarray
    origin: np.ndarray
    column_step: np.ndarray
    row_step: np.ndarray
    shape: tuple[int, int]

    def __post_init__(self) -> None:
        for name in ("source", "origin", "column_step", "row_step"):
            value = np.array(getattr(self, name), dtype=np.float64).reshape(3)
            object.__setattr__(self, name, value)
        object.__setattr__(self, "shape", (int(self.shape[0]), int(self.shape[1])))
        if min(self.shape) < 1:
            raise SimulationError(f"camera: an image of {self.shape[0]} x {self.shape[1]} pixels is empty.")
        scale = np.prod(np.linalg.norm(self.frame, axis=0))
        if not np.isfinite(scale) or abs(np.linalg.det(self.frame)) <= 1e-9 * scale:
            raise SimulationError("camera: the source lies in the plane of the detector, or a step has no length.")

    @property
    def frame(self) -> np.ndarray:
        """(3, 3): column step, row step and the way from the source to the first pixel, as columns."""
        return np.column_stack([self.column_step, self.row_step, self.origin - self.source])

    def depths(self, points: np.ndarray) -> np.ndarray:
        """(..., 3): column * w, row * w and w of points (..., 3), w = 0 at the source and 1 on the detector."""
        away = np.asarray(points, dtype=np.float64) - self.source
        return away @ np.linalg.inv(self.frame).T

    def project(self, points: np.ndarray) -> np.ndarray:
        """(column, row) float64 (..., 2) where the rays through ``points`` (..., 3) mm meet the detector.

        Not a number for points that are not on the detector's side of the source.
        """
        depths = self.depths(points)
        w = np.where(depths[..., 2:] > 1e-9, depths[..., 2:], np.nan)
        return depths[..., :2] / w

    def position(self, pixels: np.ndarray) -> np.ndarray:
        """Where on the detector (..., 3) mm the pixel positions (column, row) (..., 2) lie."""
        pixels = np.asarray(pixels, dtype=np.float64)
        return self.origin + pixels[..., :1] * self.column_step + pixels[..., 1:] * self.row_step

    def ray_lengths(self) -> np.ndarray:
        """Distance in mm from the source to every pixel centre (rows, columns) float64."""
        rows, columns = self.shape
        x = np.arange(columns, dtype=np.float64)
        y = np.arange(rows, dtype=np.float64)[:, None]
        away = self.origin - self.source
        return np.sqrt(sum((away[k] + x * self.column_step[k] + y * self.row_step[k]) ** 2 for k in range(3)))

    def mirrored(self) -> "Camera":
        """The camera whose image of the scene mirrored in x = 0 is this image flipped left to right."""
        mirror = np.array([-1.0, 1.0, 1.0])
        last = self.position(np.array([self.shape[1] - 1, 0]))
        return Camera(
            self.source * mirror, last * mirror, -self.column_step * mirror, self.row_step * mirror, self.shape
        )

    def as_json(self) -> dict[str, Any]:
        """All numbers as JSON types; :meth:`from_json` reads them back without loss."""
        vectors = {name: getattr(self, name).tolist() for name in ("source", "origin", "column_step", "row_step")}
        return {**vectors, "shape": list(self.shape)}

    @staticmethod
    def from_json(values: dict[str, Any]) -> "Camera":
        """The camera that :meth:`as_json` wrote."""
        return Camera(*(values[name] for name in ("source", "origin", "column_step", "row_step", "shape")))


def ap_camera(
    foot_centre: Sequence[float],
    *,
    pixel: float = 0.3,
    shape: tuple[int, int] = (1024, 512),
    tilt: float = AP_TILT,
    source_distance: float = SOURCE_DISTANCE,
    turn: float = 0.0,
    shift: tuple[float, float] = (0.0, 0.0),
    detector_depth: float = AP_DETECTOR_DEPTH,
) -> Camera:
    """Anteroposterior (dorsoplantar) view: toes up, lateral of a right foot at the right.

    The detector lies flat ``detector_depth`` mm below the ground. The central ray goes through ``foot_centre`` (3,)
    moved by ``shift`` (x, y) mm, from a source ``source_distance`` mm away from where it meets the detector, leaning
    ``tilt`` degrees: the source stands in front of the foot. ``foot_centre`` is seen at the centre of the image.
    ``turn`` turns tube and detector about the vertical, counter-clockwise seen from above; ``pixel`` in mm.
    """
    angle = np.radians(turn)
    across = np.array([np.cos(angle), np.sin(angle), 0.0])
    along = np.array([-np.sin(angle), np.cos(angle), 0.0])
    ray = -np.sin(np.radians(tilt)) * along - np.cos(np.radians(tilt)) * np.array([0.0, 0.0, 1.0])
    aim = np.asarray(foot_centre, dtype=np.float64) + np.array([shift[0], shift[1], 0.0])
    source = aim + ray * ((-detector_depth - aim[2]) / ray[2] - source_distance)
    return _centred(source, foot_centre, np.array([0.0, 0.0, -detector_depth]), pixel * across, -pixel * along, shape)


def lateral_camera(
    foot_centre: Sequence[float],
    *,
    pixel: float = 0.3,
    shape: tuple[int, int] = (640, 1024),
    source_distance: float = SOURCE_DISTANCE,
    turn: float = 0.0,
    tilt: float = 0.0,
    shift: tuple[float, float] = (0.0, 0.0),
    beam_height: float = LATERAL_BEAM_HEIGHT,
    detector_x: float = 70.0,
) -> Camera:
    """Mediolateral weight-bearing view: beam from medial to lateral, toes at the right for a right foot, up up.

    The detector stands upright ``detector_x`` mm lateral of the origin. The horizontal central ray runs at
    ``beam_height`` mm over the ground and through ``foot_centre`` (3,) along y, moved by ``shift`` (y, z) mm; ``tilt``
    degrees let it fall toward the detector. ``foot_centre`` is seen at the centre of the image. ``turn`` turns tube and
    detector about the vertical, counter-clockwise seen from above; ``pixel`` in mm.
    """
    angle, fall = np.radians(turn), np.radians(tilt)
    outward = np.array([np.cos(angle), np.sin(angle), 0.0])
    along = np.array([-np.sin(angle), np.cos(angle), 0.0])
    up = np.array([0.0, 0.0, 1.0])
    centre = np.asarray(foot_centre, dtype=np.float64)
    plane = detector_x * outward
    aim = np.array([centre[0], centre[1], beam_height]) + shift[0] * along + shift[1] * up
    ray = np.cos(fall) * outward - np.sin(fall) * up
    source = aim + ray * ((plane - aim) @ outward / np.cos(fall) - source_distance)
    return _centred(source, centre, plane, pixel * along, -pixel * up, shape)


def _centred(
    source: np.ndarray,
    seen: Sequence[float],
    plane: np.ndarray,
    column_step: np.ndarray,
    row_step: np.ndarray,
    shape: tuple[int, int],
) -> Camera:
    """The camera with the shadow of ``seen`` at the middle of its image; ``plane`` is any point of the detector."""
    column, row = Camera(source, plane, column_step, row_step, shape).project(np.asarray(seen, dtype=np.float64))
    origin = plane + (column - (shape[1] - 1) / 2) * column_step + (row - (shape[0] - 1) / 2) * row_step
    return Camera(source, origin, column_step, row_step, shape)
