"""Feet seen in an image: from where, which way up, inverted or not; and each of them as an upright image.

Nothing is resampled: an upright image has the same pixels in another order, and its geometry is turned with them, so
that a physical point stays where it was.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from orthoangles.errors import ImageError
from orthoangles.images import Image
from orthoangles.measurement_frame import side_from_points
from orthoangles.protocols import Protocol

KINDS = ("AP", "lateral")
"""Views of a foot, in the words of :attr:`Protocol.view`."""

_ALONE = 0.4
"""A foot whose box is shorter than this share of the image's longer side is cut out: networks see it too small."""
_AROUND = 0.5
"""What is kept around such a foot, as a share of its box's longer side."""
_PARALLEL = 0.1
"""Sine: a turn from the first to the second metatarsal that is smaller tells no side."""

Region = tuple[int, int, int, int]


@dataclass(frozen=True)
class FootView:
    """One foot of an image.

    ``kind`` is one of :data:`KINDS`; ``quarter_turns`` 0..3, counterclockwise, make it upright (AP: toes up; lateral:
    dorsum up); ``box`` (x0, y0, x1, y1) in pixels, whose centres are whole numbers; ``confidence`` 0..1; ``inverted``
    where bone is dark.
    """

    kind: str
    quarter_turns: int
    box: tuple[float, float, float, float]
    confidence: float
    inverted: bool


def turns_of(up: Sequence[float]) -> int:
    """Quarter turns, counterclockwise, that bring the direction ``up`` (x, y down) of an image to its upper edge.

    >>> turns_of((0, -1)), turns_of((1, 0)), turns_of((0, 1)), turns_of((-1, 0.2))
    (0, 1, 2, 3)
    """
    return int(np.argmax(np.array([(0, -1), (1, 0), (0, 1), (-1, 0)]) @ np.asarray(up, dtype=np.float64)))


def upright_feet(image: Image, views: Sequence[FootView], protocol: Protocol) -> tuple[Image, ...]:
    """One upright image for each foot of the protocol's view, from the image's upper left.

    Two feet are parted midway between their boxes. :class:`ImageError` where there is no foot or only another view.
    """
    wanted = require_view(image, views, protocol)
    ordered = sorted(wanted, key=lambda view: view.box[0] + view.box[1])
    if len(views) > 1:
        return tuple(_turned(image, view, _part(image, view, views)) for view in ordered)
    return tuple(upright(image, view, _AROUND if _is_small(image, view) else None) for view in ordered)


def require_view(image: Image, views: Sequence[FootView], protocol: Protocol) -> tuple[FootView, ...]:
    """The feet of the protocol's view. :class:`ImageError` where there is none, with what there is instead."""
    if not views:
        raise ImageError(
            f"{image.name}: no foot was recognised in this image; give an AP or a lateral radiograph of the foot, or "
            "place the landmarks by hand."
        )
    wanted = tuple(view for view in views if view.kind == protocol.view)
    if not wanted:
        article = "an AP" if views[0].kind == "AP" else f"a {views[0].kind}"
        needed = "an AP" if protocol.view == "AP" else f"a {protocol.view}"
        raise ImageError(
            f"{image.name}: this is {article} view; protocol {protocol.id} needs {needed} view: choose another "
            "protocol or another image."
        )
    return wanted


def upright(image: Image, view: FootView, margin: float | None = None) -> Image:
    """``image`` turned by quarters so that the foot stands upright, with bright bone.

    With ``margin`` it is cut to the foot's box, grown on each side by that share of the box's longer side; without, it
    stays whole. Physical points stay the same. Where nothing changes, ``image`` itself is returned.
    """
    return _turned(image, view, _whole(image) if margin is None else _grown(image, view, margin))


def side_from_landmarks(protocol: Protocol, points: np.ndarray, image: Image) -> str | None:
    """The side, left or right, that landmarks (n, 3) LPS mm show; None where that cannot be told: on a lateral view.

    In a volume up, distal and lateral tell it. On an AP view the turn from the first metatarsal's direction to its
    lateral side does, in an image that is not mirrored: the foot is seen from its dorsum, as in the simulated images
    and by the usual convention.
    """
    if protocol.dimension == 3:
        return side_from_points(protocol, points)
    if protocol.view != "AP":
        return None
    places = dict(zip(protocol.landmark_ids, image.index_points(points)[:, :2], strict=True))
    if "MT1-1" in places:
        distal = places["MT1-5"] - places["MT1-1"]
        lateral = _middle(places, "MT2-1", "MT2-5") - _middle(places, "MT1-1", "MT1-5")
    else:
        distal = _middle(places, "A5", "A7") - _middle(places, "A6", "A8")
        lateral = _middle(places, "A7", "A8") - _middle(places, "A5", "A6")
    lengths = np.linalg.norm(distal) * np.linalg.norm(lateral)
    sine = (distal[0] * lateral[1] - distal[1] * lateral[0]) / max(lengths, 1e-9)
    # A comparison with NaN is false: a missing landmark tells no side.
    if not abs(sine) > _PARALLEL:
        return None
    return "right" if sine > 0 else "left"


def _middle(places: dict[str, np.ndarray], one: str, other: str) -> np.ndarray:
    return (places[one] + places[other]) / 2


def _whole(image: Image) -> Region:
    return 0, 0, image.size[0], image.size[1]


def _is_small(image: Image, view: FootView) -> bool:
    return _longer_side(view) < _ALONE * max(image.size[:2])


def _longer_side(view: FootView) -> float:
    return max(view.box[2] - view.box[0], view.box[3] - view.box[1])


def _grown(image: Image, view: FootView, margin: float) -> Region:
    """The box with a margin, in whole pixels within the image."""
    box = np.reshape(view.box, (2, 2)) + np.array([[-1.0], [1.0]]) * margin * _longer_side(view)
    low = np.clip(np.floor(box[0]), 0, np.array(image.size[:2]) - 1).astype(int)
    high = np.clip(np.ceil(box[1]) + 1, low + 1, image.size[:2]).astype(int)
    return int(low[0]), int(low[1]), int(high[0]), int(high[1])


def _part(image: Image, view: FootView, views: Sequence[FootView]) -> Region:
    """What is left of the image for ``view`` when it is cut midway between it and every other foot."""
    low, high = [0, 0], list(image.size[:2])
    for other in views:
        if other is view:
            continue
        own, theirs = np.reshape(view.box, (2, 2)), np.reshape(other.box, (2, 2))
        apart = own.mean(0) - theirs.mean(0)
        axis = int(np.argmax(np.abs(apart)))
        if apart[axis] > 0:
            low[axis] = max(low[axis], _cut(theirs[1, axis], own[0, axis], image.size[axis]))
        else:
            high[axis] = min(high[axis], _cut(own[1, axis], theirs[0, axis], image.size[axis]))
    return low[0], low[1], high[0], high[1]


def _cut(end: float, start: float, size: int) -> int:
    """First pixel of the second part when the first foot ends at ``end`` and the second starts at ``start``."""
    return int(np.clip(np.rint((end + start) / 2 + 0.5), 1, size - 1))


def _turned(image: Image, view: FootView, region: Region) -> Image:
    """``image`` cut to ``region`` (x0, y0, x1, y1; the last two are the first beyond), turned and made bright-boned."""
    if region == _whole(image) and not view.quarter_turns and not view.inverted:
        return image
    x0, y0, x1, y1 = region
    pixels = image.array[:, y0:y1, x0:x1]
    column, row, normal = image.direction.T
    pixels = np.rot90(image.array[:, y0:y1, x0:x1], view.quarter_turns, axes=(1, 2))
    for _ in range(view.quarter_turns):
        # A counterclockwise quarter turn makes the last column, from its top, the first row.
        column, row = row, -column
    corner = ((x0, y0), (x1 - 1, y0), (x1 - 1, y1 - 1), (x0, y1 - 1))[view.quarter_turns]
    across, down, thick = image.spacing
    return replace(
        image,
        array=np.ascontiguousarray(negative(pixels) if view.inverted else pixels),
        spacing=(down, across, thick) if view.quarter_turns % 2 else image.spacing,
        origin=image.physical_points([(*corner, 0)])[0],
        direction=np.column_stack([column, row, normal]),
        # One side's letter cannot stand for a part of an image of both feet.
        laterality=image.laterality if region == _whole(image) else None,
        warnings=(*image.warnings, *_changes(view)),
    )


def _changes(view: FootView) -> tuple[str, ...]:
    """What a reader should know of how the image is shown."""
    turned = f"shown turned by {90 * view.quarter_turns} degrees counterclockwise, so that the foot is upright"
    inverted = "its bone was dark: shown with grey values inverted"
    return (*([turned] if view.quarter_turns else []), *([inverted] if view.inverted else []))


def negative(pixels: np.ndarray) -> np.ndarray:
    """Grey values mirrored within their range; in a wider type first, since a difference may overflow."""
    wide = pixels.astype(np.float64 if pixels.dtype.kind == "f" else np.int64)
    return (wide.max() + wide.min() - wide).astype(pixels.dtype)
