"""How an upright view came from its image, as JSON, so that it need not be found again.

A view is the image cut, turned by quarters or mirrored along its axes, and perhaps with its grey values inverted:
nothing is resampled, so geometry and one flag say all.
"""

from dataclasses import replace
from typing import Any

import numpy as np

from orthoangles.foot_views import negative
from orthoangles.images import Image, ImageGeometry

_A_HAIR = 0.1
"""Voxels: what rounding in a file's geometry may add up to."""


def view_record(source: Image, view: Image) -> dict[str, Any] | None:
    """What :func:`rebuilt_view` needs to make ``view`` of ``source`` again; None where its pixels are not those."""
    pixels = _pixels_at(source, view.geometry)
    if pixels is None:
        return None
    same = np.array_equal(pixels, view.array)
    if not same and not np.array_equal(negative(pixels), view.array):
        return None
    return {
        "size": list(view.size),
        "spacing": view.spacing.tolist(),
        "origin": view.origin.tolist(),
        "direction": view.direction.tolist(),
        "inverted": not same,
        "warnings": [text for text in view.warnings if text not in source.warnings],
    }


def rebuilt_view(source: Image, record: dict[str, Any]) -> Image | None:
    """The view of ``source`` that a record describes; None where it does not lie on the image's pixels."""
    geometry = ImageGeometry(tuple(record["size"]), record["spacing"], record["origin"], record["direction"])
    pixels = _pixels_at(source, geometry)
    if pixels is None:
        return None
    return replace(
        source,
        array=np.ascontiguousarray(negative(pixels) if record["inverted"] else pixels),
        spacing=geometry.spacing,
        origin=geometry.origin,
        direction=geometry.direction,
        warnings=(*source.warnings, *record["warnings"]),
    )


def _pixels_at(source: Image, geometry) -> np.ndarray | None:
    """The source's pixels on another grid, (slices, rows, columns); None where that takes more than picking them."""
    corners = source.index_points(geometry.physical_points(np.vstack([np.zeros(3), np.eye(3)])))
    axes = corners[1:] - corners[0]  # rows: the view's axes in those of the source
    whole = np.rint(axes).astype(int)
    last = np.array(geometry.size) - 1
    off = max(np.abs((axes - whole) * last[:, None]).max(), np.abs(corners[0] - np.rint(corners[0])).max())
    if (np.abs(whole).sum(0) != 1).any() or (np.abs(whole).sum(1) != 1).any() or off > _A_HAIR:
        return None
    of_source, steps = np.abs(whole).argmax(axis=1), whole.sum(axis=1)
    starts = np.rint(corners[0]).astype(int)[of_source]
    ends = starts + steps * last
    if min(starts.min(), ends.min()) < 0 or (np.maximum(starts, ends) >= np.array(source.size)[of_source]).any():
        return None
    array = source.array.transpose([2 - int(axis) for axis in of_source[::-1]])
    return array[tuple(_slice(starts[k], ends[k], steps[k]) for k in (2, 1, 0))]


def _slice(start: int, end: int, step: int) -> slice:
    stop = end + step
    return slice(int(start), None if stop < 0 else int(stop), int(step))
