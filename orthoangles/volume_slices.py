"""Flat pictures of a volume in any plane: slices through a point, and projections of its bone."""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from orthoangles.errors import ImageError
from orthoangles.images import Image, display_range

BONE_WINDOW = (-350.0, 1250.0)
"""HU shown as black and white."""
_BONE = (200.0, 1500.0)
"""HU from which on tissue counts in a projection, and above which it counts no more."""


class Plane(NamedTuple):
    """A plane to look at: unit vectors (3,) LPS of the picture's ``right`` and ``up``, and the words at these edges."""

    name: str
    right: np.ndarray
    up: np.ndarray
    right_word: str
    up_word: str

    def coordinates(self, points: np.ndarray) -> np.ndarray:
        """(n, 2) mm along right and up of (n, 3) LPS points."""
        return points @ np.stack([self.right, self.up], axis=1)

    def distance(self, points: np.ndarray, origin: np.ndarray) -> np.ndarray:
        """(n,) mm by which (n, 3) points lie in front of or behind the plane through ``origin`` (3,)."""
        return (points - origin) @ np.cross(self.right, self.up)


def anatomical_planes(axes: np.ndarray) -> tuple[Plane, Plane, Plane]:
    """Axial, coronal and sagittal plane of a foot whose lateral, forward and up directions are the rows of ``axes``.

    As radiologists look at them: the patient's left at the right, anterior at the left of a sagittal picture.
    """
    lateral, forward, up = axes
    is_left = lateral[0] > 0
    right, word = (lateral, "lat") if is_left else (-lateral, "med")
    return (
        Plane("axial", right, forward, word, "ant"),
        Plane("coronal", right, up, word, "sup"),
        Plane("sagittal", -forward, up, "post", "sup"),
    )


@dataclass(frozen=True, eq=False)
class GreyWindow:
    """Stored values shown as black and white, and those between which a projection counts bone."""

    black: float
    white: float
    bone: tuple[float, float]


def bone_window(image: Image) -> GreyWindow:
    """A bone window, also where the file's values are not HU; of what is no foot, its usual grey range."""
    from orthoangles.foot_volumes import find_feet

    try:
        levels = find_feet(image).levels
    except ImageError:
        black, white = display_range(image)
        return GreyWindow(black, white, ((black + white) / 2, white))
    black, white, least, most = (levels.stored(value) for value in (*BONE_WINDOW, *_BONE))
    return GreyWindow(black, white, (least, most))


def slice_through(image: Image, point: np.ndarray, plane: Plane, half: float, step: float) -> np.ndarray:
    """Grey values (n, n), first row at the top, of the square of 2 ``half`` mm about ``point`` (3,); NaN beyond the
    volume.
    """
    along = np.arange(-half, half + step / 2, step)
    places = point + along[::-1, None, None] * plane.up + along[None, :, None] * plane.right
    return _sampled(image, places)


class Projection(NamedTuple):
    """``picture`` (rows, columns), how much bone lies behind each point; ``extent`` mm (left, right, bottom, top)."""

    picture: np.ndarray
    extent: tuple[float, float, float, float]


def bone_projections(
    image: Image, planes: tuple[Plane, ...], points: np.ndarray, window: GreyWindow, margin: float, step: float
) -> list[Projection]:
    """The bone about ``points`` (n, 3), seen along the normal of each plane, like a radiograph."""
    from scipy.ndimage import affine_transform

    axial, coronal, _ = planes
    axes = np.stack([axial.right, axial.up, coronal.up])
    along = points @ axes.T
    lows, highs = along.min(axis=0) - margin, along.max(axis=0) + margin
    ranges = [np.arange(low, high, step) for low, high in zip(lows, highs, strict=True)]
    # affine_transform takes an index (axial right, axial up, coronal up) to one of the array (slice, row, column).
    directions = np.linalg.inv(image.affine[:3, :3]) @ axes.T
    first = image.index_points([np.array([each[0] for each in ranges]) @ axes])[0]
    shape = tuple(len(each) for each in ranges)
    bone = affine_transform(
        image.array, step * directions[::-1], first[::-1], shape, np.float32, order=1, cval=window.bone[0]
    )
    np.clip(bone, *window.bone, out=bone)
    bone -= np.float32(window.bone[0])
    return [_projection(bone, ranges, axes, plane) for plane in planes]


def _projection(bone: np.ndarray, ranges: list[np.ndarray], axes: np.ndarray, plane: Plane) -> Projection:
    """The sum along the normal, turned so that ``plane.right`` and ``plane.up`` are the picture's."""
    shares = [axes @ plane.right, axes @ plane.up]
    column, row = (int(np.argmax(np.abs(share))) for share in shares)
    picture = bone.sum(axis=3 - column - row)
    picture = picture if column > row else picture.T
    spans = [ranges[k] * np.sign(share[k]) for k, share in ((column, shares[0]), (row, shares[1]))]
    picture = picture[::-1] if spans[1][0] < spans[1][-1] else picture
    picture = picture[:, ::-1] if spans[0][0] > spans[0][-1] else picture
    return Projection(picture, tuple(float(edge) for span in spans for edge in (span.min(), span.max())))


def _sampled(image: Image, places: np.ndarray) -> np.ndarray:
    """Grey values (...) float32 at LPS places (..., 3), between voxels; NaN beyond the outermost centres."""
    from scipy.ndimage import map_coordinates

    index = image.index_points(places.reshape(-1, 3))[:, ::-1].T
    values = map_coordinates(image.array, index, np.float32, order=1, mode="nearest")
    beyond = (index < -0.5).any(axis=0) | (index > np.array(image.array.shape)[:, None] - 0.5).any(axis=0)
    values[beyond] = np.nan
    return values.reshape(places.shape[:-1])
