"""The feet in a CT volume: where they are, which is which, and how the file's grey values become Hounsfield units.

A body is what Otsu's threshold parts from air, without the plate that it stands on; a foot is a body with bones. Two
feet are told by their bones, which stay apart where skin touches. Nothing is resampled: a foot is a part of the volume.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from orthoangles.errors import ImageError
from orthoangles.images import Image, require_volume
from orthoangles.volume_body import STEP, UprightGrid, upright_grid, without_plate

AIR = -1000.0
_AIR_SLACK = 150.0
"""HU that air may differ from -1000 before values are shifted: cone-beam scanners are off by some tens."""
_CONTRAST = (650.0, 1400.0)
"""HU between air and the middle of a foot's tissue, 850 to 1150 in simulated and real scans; beyond, values are scaled.
"""
_BONE = 300.0
"""HU of bone on the 2 mm grid."""
_CLEAR = 0.8
"""Share of the variance that the parting of body and air explains: 0.89 and more in scans, 0.64 in noise."""
_LEAST_BODY, _LEAST_BONE = 40.0, 5.0
"""cm3; the smallest part of a foot that shows an angle has more."""
_MOST_BONE = 0.7
_SECOND = 0.35
"""Share of the larger foot's bone that makes a second foot; less is a piece of the neighbour at the edge."""
_ABREAST, _LEVEL = 60.0, 40.0
"""mm between the middles of two feet's bones, at least from side to side and at most in height."""
_MARGIN = 4.0
"""mm around the skin that belong to a foot's box."""


@dataclass(frozen=True)
class GreyLevels:
    """Hounsfield units are ``gain * value + offset``; ``warning`` says why where that is not 1 and 0."""

    gain: float = 1.0
    offset: float = 0.0
    warning: str | None = None

    def hounsfield(self, array: np.ndarray) -> np.ndarray:
        """``array`` itself where nothing is to be changed, else float32 of its shape."""
        if self.warning is None:
            return array
        values = array.astype(np.float32)
        values *= np.float32(self.gain)
        values += np.float32(self.offset)
        return values

    def stored(self, hounsfield: float) -> float:
        """The file's value of these HU."""
        return (hounsfield - self.offset) / self.gain


@dataclass(frozen=True, eq=False)
class FootRegion:
    """One foot: ``low`` and ``high`` (3,) LPS mm, corners of the box about its skin; ``bone`` cm3; ``side`` "left" or
    "right" where two feet stand side by side, else None.
    """

    low: np.ndarray
    high: np.ndarray
    bone: float
    side: str | None = None


@dataclass(frozen=True)
class FeetFound:
    """``feet``, one or two, the patient's right one first; ``levels`` of the whole volume."""

    feet: tuple[FootRegion, ...]
    levels: GreyLevels

    @property
    def main(self) -> FootRegion:
        """The foot with most bone: the one that is meant where another reaches into the volume."""
        return max(self.feet, key=lambda foot: foot.bone)


def find_feet(image: Image) -> FeetFound:
    """The feet in a CT volume, in about 0.3 s. Raises :class:`ImageError`, with the reason, where it shows none."""
    require_volume(image)
    grid = upright_grid(image)
    threshold, clear = grid.threshold
    body = without_plate(grid.values > threshold, grid.inside)
    if clear < _CLEAR or not body.any():
        raise _no_foot(image, "no body stands out from the air around it")
    levels = grey_levels(grid, body)
    bone = body & (grid.values > levels.stored(_BONE))
    body = _connected_to_bone(body, bone)
    _require_foot(image, body, bone)
    parts = _bone_parts(bone, grid)
    regions = [_region(grid, part, bone) for part in _shared_out(body, parts)]
    if len(regions) == 2:
        # The patient's left is +x.
        regions.sort(key=lambda region: region.low[0] + region.high[0])
        regions = [replace(region, side=side) for region, side in zip(regions, ("right", "left"), strict=True)]
    return FeetFound(tuple(regions), levels)


def grey_levels(grid: UprightGrid, body: np.ndarray) -> GreyLevels:
    """What the values of air and tissue make of a file that is not calibrated in HU."""
    from scipy.ndimage import binary_erosion

    around = grid.values[grid.inside & ~(grid.values > grid.threshold[0])]
    inner = binary_erosion(body)
    air = float(np.median(around))
    contrast = float(np.median(grid.values[inner if inner.any() else body])) - air
    if abs(air - AIR) <= _AIR_SLACK and _CONTRAST[0] <= contrast <= _CONTRAST[1]:
        return GreyLevels()
    if _CONTRAST[0] <= contrast <= _CONTRAST[1]:
        return GreyLevels(1.0, AIR - air, f"grey values are not Hounsfield units: {air:.0f} was taken for air")
    gain = -AIR / contrast
    text = f"grey values are not Hounsfield units: {air:.0f} was taken for air, {air + contrast:.0f} for soft tissue"
    return GreyLevels(gain, AIR - gain * air, text)


def foot_images(image: Image, found: FeetFound) -> tuple[Image, ...]:
    """One image for each foot: ``image`` itself for one alone, else the part of it that holds the foot's box.

    Physical points are those of ``image``; of two feet each has its laterality.
    """
    if len(found.feet) == 1:
        return (image,)
    return tuple(_cut(image, foot) for foot in found.feet)


def _cut(image: Image, foot: FootRegion) -> Image:
    corners = np.where(_CORNERS, foot.high, foot.low)
    index = image.index_points(corners)
    low = np.clip(np.floor(index.min(axis=0)), 0, np.array(image.size) - 1).astype(int)
    high = np.clip(np.ceil(index.max(axis=0)) + 1, low + 1, image.size).astype(int)
    (i0, j0, k0), (i1, j1, k1) = low, high
    return replace(
        image,
        array=np.ascontiguousarray(image.array[k0:k1, j0:j1, i0:i1]),
        origin=image.physical_points([low])[0],
        laterality={"left": "L", "right": "R"}[foot.side],
    )


_CORNERS = np.array([[a, b, c] for a in (False, True) for b in (False, True) for c in (False, True)])


def _no_foot(image: Image, reason: str) -> ImageError:
    return ImageError(
        f"{image.name}: no foot was recognised in this volume: {reason}; give a CT of a foot, or place the landmarks "
        "by hand."
    )


def _connected_to_bone(body: np.ndarray, bone: np.ndarray) -> np.ndarray:
    """The connected parts of ``body`` (z, y, x) that hold bone: crumbs and objects beside the feet are left out."""
    from scipy.ndimage import label

    labels, count = label(body)
    held = np.bincount(labels[bone], minlength=count + 1)
    if not held[1:].any():
        return np.zeros_like(body)
    return np.isin(labels, np.flatnonzero(held >= 0.02 * held[1:].max())[np.newaxis]) & body


def _require_foot(image: Image, body: np.ndarray, bone: np.ndarray) -> None:
    volume, dense = _cubic_centimetres(body), _cubic_centimetres(bone & body)
    if dense < _LEAST_BONE:
        raise _no_foot(image, "it holds hardly any bone")
    if volume < _LEAST_BODY:
        raise _no_foot(image, f"what stands out from the air, {volume:.0f} cm3, is too small")
    if dense > _MOST_BONE * volume:
        raise _no_foot(image, "it holds hardly any soft tissue")


def _cubic_centimetres(mask: np.ndarray) -> float:
    """cm3 of a mask on the grid."""
    return float(mask.sum()) * STEP**3 / 1000


def _bone_parts(bone: np.ndarray, grid: UprightGrid) -> list[np.ndarray]:
    """Masks of the bones of one foot or of two. Bones within 4 mm of each other belong together, or, should feet be as
    close as that, those that touch.
    """
    from scipy.ndimage import binary_dilation, generate_binary_structure, label

    full = generate_binary_structure(3, 3)
    for joined in (binary_dilation(bone, full), bone):
        labels, count = label(joined, full)
        sizes = np.bincount(labels[bone], minlength=count + 1)
        first, *others = np.argsort(-sizes[1:])[:4] + 1
        for other in others:
            pair = [bone & (labels == number) for number in (first, other)]
            if sizes[other] >= _SECOND * sizes[first] and _abreast(*(grid.places(mask).mean(axis=0) for mask in pair)):
                return pair
    return [bone]


def _abreast(one: np.ndarray, other: np.ndarray) -> bool:
    """Whether things about these points (3,) LPS mm stand side by side as the feet of one person do."""
    apart = np.abs(one - other)
    return bool(apart[0] > _ABREAST and apart[0] > apart[1] and apart[2] < _LEVEL)


def _shared_out(body: np.ndarray, parts: Sequence[np.ndarray]) -> list[np.ndarray]:
    """``body`` (z, y, x) shared out among one or two parts: each point goes to the nearest bone."""
    from scipy.spatial import cKDTree

    if len(parts) == 1:
        return [body]
    bones = [np.argwhere(part) for part in parts]
    points = np.argwhere(body)
    _, nearest = cKDTree(np.vstack(bones)).query(points)
    shares = []
    for chosen in (nearest < len(bones[0]), nearest >= len(bones[0])):
        share = np.zeros_like(body)
        share[tuple(points[chosen].T)] = True
        shares.append(share)
    return shares


def _region(grid: UprightGrid, body: np.ndarray, bone: np.ndarray) -> FootRegion:
    low, high = grid.box(body)
    return FootRegion(low - _MARGIN, high + _MARGIN, _cubic_centimetres(bone & body))
