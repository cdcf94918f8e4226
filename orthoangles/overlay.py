"""An image with landmarks, the lines that angles were taken between, and their values; a volume as slices."""

from collections import Counter

import numpy as np

from orthoangles.images import display_range
from orthoangles.results import Measurement, MeasurementResult

COLOURS = ("#ffd23f", "#4cc9f0", "#ff7b9c", "#9bf06a", "#c8a2ff")
LANDMARK = "#ff5a36"
_DASH = 6.0
_HEIGHTS = (1000, 2000)


def draw_overlay(image, points: np.ndarray, result: MeasurementResult, protocol):
    """A matplotlib Figure of the image with ``points`` (n, 3) LPS mm and the measurements that the protocol draws.

    A radiograph's size in pixels is the image's, scaled to between 1,000 and 2,000 rows; for a volume see
    ``volume_sheet.draw_sheet``.
    """
    if not image.is_radiograph:
        from orthoangles.volume_sheet import draw_sheet

        return draw_sheet(image, points, result, protocol)
    return _draw_radiograph(image, points, result, protocol)


def _draw_radiograph(image, points: np.ndarray, result: MeasurementResult, protocol):
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    columns, rows, _ = image.size
    low, high = display_range(image)
    scale = float(np.clip(rows, *_HEIGHTS)) / rows
    figure = Figure(figsize=(columns * scale / 100, rows * scale / 100), dpi=100)
    FigureCanvasAgg(figure)
    axes = figure.add_axes((0, 0, 1, 1))
    axes.imshow(image.array[0], cmap="gray", vmin=low, vmax=high, interpolation="bilinear")
    axes.set_axis_off()
    # Sizes in points follow the picture: 1 % of its longer side for text.
    unit = max(rows, columns) * scale * 0.72 / 100
    ij = _index(image, points)
    axes.scatter(ij[:, 0], ij[:, 1], s=(0.24 * unit) ** 2 * np.pi, c=LANDMARK, linewidths=0)
    taken: list[float] = []
    shown = [(result.by_id(entry.id), entry) for entry in protocol.measurements if entry.drawn]
    shown = [(entry, definition) for entry, definition in shown if entry.value is not None and len(entry.axes) == 2]
    strokes = _Strokes([axis.id for entry, _ in shown for axis in entry.axes])
    for colour, (entry, definition) in zip(COLOURS * len(shown), shown, strict=False):
        _draw_angle(axes, image, entry, caption(entry, definition), colour, strokes, unit, taken)
    axes.set_xlim(-0.5, columns - 0.5)
    axes.set_ylim(rows - 0.5, -0.5)
    return figure


def _index(image, points: np.ndarray) -> np.ndarray:
    """Columns and rows (n, 2) of LPS points, without the ones that are missing."""
    points = np.atleast_2d(points)
    return image.index_points(points[np.isfinite(points).all(axis=1)])[:, :2]


class _Strokes:
    """Line styles: an axis that belongs to several angles is dashed in the colours of all of them."""

    def __init__(self, axis_ids: list[str]) -> None:
        self._uses, self._drawn = Counter(axis_ids), Counter()

    def next(self, axis_id: str) -> dict:
        """Of the next line drawn along this axis; matplotlib's keywords."""
        uses, drawn = self._uses[axis_id], self._drawn[axis_id]
        self._drawn[axis_id] += 1
        if uses == 1:
            return {"solid_capstyle": "round"}
        return {"linestyle": (_DASH * (uses - drawn), (_DASH, _DASH * (uses - 1))), "dash_capstyle": "butt"}


def _draw_angle(
    axes,
    image,
    entry: Measurement,
    caption: str,
    colour: str,
    strokes: _Strokes,
    unit: float,
    taken: list[float],
) -> None:
    columns, rows, _ = image.size
    ends = []
    for axis in entry.axes:
        start, end = _index(image, np.stack([axis.start, axis.end]))
        start, end = (start, end) if start[0] <= end[0] else (end, start)
        middle, direction = (start + end) / 2, (end - start) / max(np.linalg.norm(end - start), 1e-9)
        reach = 0.30 * columns
        line = np.stack([middle - reach * direction, middle + reach * direction])
        stroke = strokes.next(axis.id)
        axes.plot(*line.T, color=colour, linewidth=0.16 * unit, alpha=0.7, **stroke)
        axes.plot(*np.stack([start, end]).T, color=colour, linewidth=0.36 * unit, **stroke)
        ends.append((middle, line))
    # The value stands halfway between the two lines, on the side where there is more room.
    middle = (ends[0][0] + ends[1][0]) / 2
    right = middle[0] < columns / 2
    x = 0.98 * columns if right else 0.02 * columns
    y = _free_row(middle[1], rows, taken)
    for _, line in ends:
        tip = line[1] if right else line[0]
        axes.plot([tip[0], x], [tip[1], y], color=colour, linewidth=0.08 * unit, alpha=0.5, linestyle=":")
    axes.text(
        x,
        y,
        caption,
        color=colour,
        fontsize=1.5 * unit,
        ha="right" if right else "left",
        va="center",
        linespacing=1.25,
        bbox={"boxstyle": "round,pad=0.3", "facecolor": "black", "alpha": 0.65, "edgecolor": colour},
    )


def _free_row(row: float, rows: int, taken: list[float]) -> float:
    """``row``, moved down past the captions that stand there already."""
    for other in sorted(taken):
        if abs(row - other) < 0.08 * rows:
            row = other + 0.08 * rows
    taken.append(row)
    return row


def caption(entry: Measurement, definition) -> str:
    """Short name and value of a measurement that has one, with the vertebrae that a Cobb angle lies between."""
    unit = "°" if entry.unit == "deg" else f" {entry.unit}"
    ends = [entry.details.get(key) for key in ("upper_end_vertebra", "lower_end_vertebra")]
    between = f"\n{ends[0]}-{ends[1]}" if all(ends) else ""
    return f"{definition.abbreviation or entry.name}\n{entry.value:.1f}{unit}{between}"
