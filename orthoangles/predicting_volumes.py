"""One foot in a CT volume -> its landmarks: which part of the volume, which side, then the networks of a bundle."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from orthoangles.errors import ImageError
from orthoangles.foot_volumes import FeetFound, find_feet
from orthoangles.images import Image
from orthoangles.predicting_progress import Reporter, before_each_convolution
from orthoangles.subjects import SIDES

if TYPE_CHECKING:
    import torch

    from orthoangles.networks.volumes.finding import CoarseResult, DecodedPoints3, VolumeLandmarkFinder
    from orthoangles.networks.volumes.grid import VolumeView

MIRROR: Mapping[str, float] = {"right": 1.0, "left": -1.0}
"""Side -> what x of LPS is multiplied with for the networks, to which every foot is a right one."""

_CLEARLY = 0.15
"""By so much the other side must score better than the stated one to be read instead (probability)."""
_FEWEST = 3
"""Landmarks that a foot shows: fewer are chance."""


class VolumeReading(NamedTuple):
    """``points`` (n, 3) LPS mm, NaN where missing; ``confidence`` (n,); ``spread`` (n,) mm; ``side`` as which the foot
    was read, "left" or "right"; ``warnings`` for the reader.
    """

    points: np.ndarray
    confidence: np.ndarray
    spread: np.ndarray
    side: str
    warnings: tuple[str, ...]


def read_foot(
    image: Image, finder: "VolumeLandmarkFinder", network: Any, device: "torch.device", report: Reporter
) -> VolumeReading:
    """Landmarks of the main foot in ``image``.

    ``finder`` and ``network`` are the postprocessing and the network of a bundle for volumes. A side that the file does
    not state is the one whose mirror image the coarse network knows better. ``report`` hears of each stage and may
    raise. Raises :class:`ImageError` where the volume shows no foot.
    """
    report(0.0, "Finding the foot in the volume")
    found = find_feet(image)
    report(0.05, "Finding the foot in the volume")
    views = _views(image, found)
    with before_each_convolution(network, report.check):
        coarse = {
            side: finder.coarse(view, network, device, report.part(0.05 + 0.15 * k, 0.2 + 0.15 * k))
            for k, (side, view) in enumerate(views.items())
        }
        side = _side(coarse, SIDES.get(image.laterality or ""))
        decoded = finder(views[side], network, device, report.part(0.35, 0.95), coarse[side])
    report(0.95, "Placing the landmarks")
    return _reading(image, found, side, decoded)


def _views(image: Image, found: FeetFound) -> dict[str, "VolumeView"]:
    """The main foot as a right and as a left one, as the networks take it."""
    from orthoangles.networks.volumes.grid import VolumeView

    array = found.levels.hounsfield(image.array)
    box = np.array([found.main.low, found.main.high])
    views = {}
    for side, sign in MIRROR.items():
        mirror = np.array([sign, 1.0, 1.0])
        to_index = np.linalg.inv(image.affine) @ np.diag([*mirror, 1.0])
        views[side] = VolumeView(array, to_index, (box * mirror).min(axis=0), (box * mirror).max(axis=0))
    return views


def _side(coarse: Mapping[str, "CoarseResult"], stated: str | None) -> str:
    """The stated side, unless the other is clearly better known; without one, the better known."""
    best = max(coarse, key=lambda side: coarse[side].score)
    if stated is None or coarse[best].score - coarse[stated].score > _CLEARLY:
        return best
    return stated


def _reading(image: Image, found: FeetFound, side: str, decoded: "DecodedPoints3") -> VolumeReading:
    placed = np.isfinite(decoded.points).all(axis=1)
    if placed.sum() < _FEWEST:
        raise ImageError(
            f"{image.name}: no foot was recognised in this volume: the network found {placed.sum()} of "
            f"{len(placed)} landmarks; give a CT of a foot, or place the landmarks by hand."
        )
    points = decoded.points * [MIRROR[side], 1.0, 1.0]
    levels = [found.levels.warning] if found.levels.warning else []
    return VolumeReading(points, decoded.confidence, decoded.spread, side, (*levels, *decoded.warnings))
