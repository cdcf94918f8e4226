"""Line segments of bones as maps: what the network of S0 learns, on the quarter grid of its output.

Grid convention: cell (i, j) of a map of stride s stands at input pixel (x, y) = (s j + (s - 1) / 2, s i + (s - 1) / 2).
Every function takes numpy arrays or torch tensors and gives back the same; nothing here imports torch.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np

HANDLES = 5
"""Handles of each bone, from proximal to distal; its segment reaches from the first to the last."""


def segment_ends(points: Any) -> Any:
    """Ends (..., bones, 2, 2) of the segments of handles (..., bones * 5, 2): where the bone's axis begins and ends.

    The axis is the least-squares line through the five handles, as it is measured, and not the chord from the first to
    the last: shafts are curved, and the chord of simulated feet turns hallux valgus by half a degree. The ends lie on
    it beside those two handles. Where another handle is missing (NaN) an end is the handle itself.
    """
    handles = points.reshape(*points.shape[:-2], -1, HANDLES, 2)
    ends = handles[..., [0, HANDLES - 1], :]
    middle = handles.mean(-2)[..., None, :]
    chord = ends[..., 1:, :] - ends[..., :1, :]
    offsets = handles - middle
    along = (offsets * chord).sum(-1)[..., None]
    # A handle beside the axis moves it by second order only: errors across the chord are those across the axis.
    direction = (along * offsets).sum(-2) / (along**2).sum(-2).clip(1e-12)
    fitted = middle + along[..., [0, HANDLES - 1], :] * direction[..., None, :]
    known = fitted == fitted  # NaN is not
    ends[known] = fitted[known]
    return ends


def handles_between(ends: np.ndarray) -> np.ndarray:
    """Handles (..., bones * 5, 2) at 0, 1/4, 1/2, 3/4 and 1 of segments with ``ends`` (..., bones, 2, 2)."""
    share = np.linspace(0.0, 1.0, HANDLES)[:, None]
    handles = ends[..., :1, :] * (1 - share) + ends[..., 1:, :] * share
    return handles.reshape(*ends.shape[:-3], -1, 2)


def to_grid(points: Any, stride: int) -> Any:
    """Input pixels (..., 2) -> cells, in which cell (i, j) stands at (x, y) = (j, i)."""
    return (points - (stride - 1) / 2) / stride


def to_pixels(points: Any, stride: int) -> Any:
    """Cells (..., 2) -> input pixels; the inverse of :func:`to_grid`."""
    return points * stride + (stride - 1) / 2


def segment_maps(ends: Any, shape: Sequence[int], width: float = 4.0) -> Any:
    """Maps (..., rows, columns) that are 1 within ``width`` / 2 of a segment and 0 elsewhere.

    The edge runs through cells: a cell that it cuts has the share of the cell that lies inside (to first order), so the
    map tells the segment more finely than by whole cells, and 1/2 stands on the edge itself.

    Args:
        ends: (..., 2, 2) both ends (x, y) in cells.
        shape: rows and columns.
        width: of the line in cells; its ends are round.

    >>> segment_maps(np.array([[2.0, 2.0], [5.0, 2.0]]), (5, 8), width=2)[:, 3].tolist()
    [0.0, 0.5, 1.0, 0.5, 0.0]
    """
    x, y, ex, ey = _about(ends, shape)
    length = (ex * ex + ey * ey) ** 0.5
    across = x * (ey / length) - y * (ex / length)
    beyond = (abs(x * (ex / length) + y * (ey / length) - length / 2) - length / 2).clip(0)
    return (width / 2 + 0.5 - (across * across + beyond * beyond) ** 0.5).clip(0, 1)


def published_segment_maps(ends: Any, shape: Sequence[int], width: int = 4) -> Any:
    """Maps (..., rows, columns) of 0 and 1 as S0's code draws them: ``cv2.line`` between ends cut to whole cells.

    OpenCV rounds the corners of a thick line to whole pixels and fills up to and with its border: a thickness of 4 is
    5 pixels wide along rows and columns, 3 gives the same line as 4, and 5 the same as 6.

    Args:
        ends: (..., 2, 2) both ends (x, y) in cells from the border of the map, as S0 scales its labels: cell j reaches
            from j to j + 1.
        shape: rows and columns.
        width: the thickness, a whole number.

    >>> published_segment_maps(np.array([[2.9, 3.2], [6.0, 3.8]]), (7, 8), width=4)[:, 4].tolist()
    [0.0, 1.0, 1.0, 1.0, 1.0, 1.0, 0.0]
    """
    x, y, ex, ey = _about(ends // 1, shape)
    squared = ex * ex + ey * ey
    radius = (width + 1) // 2 if width > 1 else 0
    # One corner of the quadrilateral that is drawn, as seen from the end beside it.
    cx, cy = (-ey * radius / squared**0.5 + 0.5) // 1, (ex * radius / squared**0.5 + 0.5) // 1
    # |cross product| / larger extent is the distance along a row or column, whichever crosses the line more steeply.
    larger = (abs(ex) + abs(ey) + abs(abs(ex) - abs(ey))) / 2
    within = abs(x * ey - y * ex) <= abs(cx * ey - cy * ex) + larger / 2
    along = x * ex + y * ey
    shaft = within & (along >= 0) & (along <= squared)
    caps = (x * x + y * y <= radius**2) | ((x - ex) ** 2 + (y - ey) ** 2 <= radius**2)
    return (shaft | caps) * 1.0


def _about(ends: Any, shape: Sequence[int]) -> tuple[Any, Any, Any, Any]:
    """Cells from the first end, x (..., 1, columns) and y (..., rows, 1), and the second end from it, (..., 1, 1)."""
    start, extent = ends[..., 0, :, None, None], (ends[..., 1, :] - ends[..., 0, :])[..., None, None]
    x = _count(ends, shape[1]) - start[..., 0, :, :]
    y = _count(ends, shape[0])[:, None] - start[..., 1, :, :]
    ex, ey = extent[..., 0, :, :], extent[..., 1, :, :]
    # A segment without length gets a direction, so that it is drawn as a disk.
    return x, y, ex + ((ex == 0) & (ey == 0)) * 1e-3, ey


def _count(like: Any, n: int) -> Any:
    """0, 1 ... n - 1 as the kind of array that ``like`` is."""
    return np.arange(n, dtype=like.dtype) if isinstance(like, np.ndarray) else like.new_tensor(range(n))
