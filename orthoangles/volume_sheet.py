"""A sheet of one volume: the foot's bones with the axes of its angles, and three slices through every landmark."""

from itertools import cycle

import numpy as np

from orthoangles.images import Image
from orthoangles.measurement_frame import frame_axes
from orthoangles.overlay import COLOURS, LANDMARK, caption
from orthoangles.results import MeasurementResult
from orthoangles.volume_slices import Plane, anatomical_planes, bone_projections, bone_window, slice_through

_ABREAST = 4
"""Landmarks beside each other."""
_TILE = 1.85
_TITLE = 0.3
_OVERVIEW = 6.4
_EDGE = 0.12
"""Inches, of a tile, of the line above it, of the pictures of the whole foot, and between tiles."""
_HALF, _STEP = 24.0, 0.3
"""mm: half the width of a tile, and its pixels."""
_LEGEND = 52.0
"""mm beside the picture of the whole foot for the values."""
_NEAR = 3.0
"""mm from a slice within which another landmark is shown in it."""
_BACKGROUND, _TEXT = "#101418", "#e8e8e8"
_STANDING = np.array([[-1.0, 0.0, 0.0], [0.0, -1.0, 0.0], [0.0, 0.0, 1.0]])


def draw_sheet(image: Image, points: np.ndarray, result: MeasurementResult, protocol):
    """A matplotlib Figure for a volume with ``points`` (n, 3) LPS mm, NaN where missing, and what was measured on them.

    Planes are those of the frame of measurement, or the patient's where the landmarks show none.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    axes = frame_axes(protocol, points, result.frame)
    planes = anatomical_planes(_STANDING if isinstance(axes, str) else axes[1])
    window = bone_window(image)
    rows = -(-len(points) // _ABREAST)
    width = _ABREAST * (3 * _TILE + 2 * _EDGE) + _EDGE
    height = _OVERVIEW + rows * (_TILE + _TITLE + _EDGE) + _EDGE
    figure = Figure(figsize=(width, height), dpi=100, facecolor=_BACKGROUND)
    FigureCanvasAgg(figure)
    _draw_overview(figure, image, points, result, protocol, planes, window)
    for number, landmark in enumerate(protocol.landmarks):
        row, column = divmod(number, _ABREAST)
        left = _EDGE + column * (3 * _TILE + 2 * _EDGE)
        top = height - _OVERVIEW - row * (_TILE + _TITLE + _EDGE)
        figure.text(left / width, (top - 0.24) / height, f"{landmark.id}  {landmark.name}", color=_TEXT, fontsize=9)
        for k, plane in enumerate(planes):
            box = ((left + k * _TILE) / width, (top - _TITLE - _TILE) / height, 0.98 * _TILE / width, _TILE / height)
            tile = figure.add_axes(box)
            _draw_tile(tile, image, number, points, protocol.landmark_ids, plane, window)
    return figure


def _plain(axes) -> None:
    axes.set_facecolor("black")
    axes.set_xticks([])
    axes.set_yticks([])
    for spine in axes.spines.values():
        spine.set_color("#404850")


def _draw_tile(axes, image: Image, number: int, points: np.ndarray, ids, plane: Plane, window) -> None:
    """The slice through one landmark, its place between four strokes, and what other landmarks lie in it."""
    _plain(axes)
    place = points[number]
    if not np.isfinite(place).all():
        axes.text(0.5, 0.5, "not found", color="#8a949e", ha="center", va="center", transform=axes.transAxes)
        return
    picture = slice_through(image, place, plane, _HALF, _STEP)
    edges = (-_HALF, _HALF, -_HALF, _HALF)
    axes.imshow(picture, cmap="gray", vmin=window.black, vmax=window.white, extent=edges, interpolation="bilinear")
    for x, y in ((1, 0), (-1, 0), (0, 1), (0, -1)):
        axes.plot([2 * x, 7 * x], [2 * y, 7 * y], color=LANDMARK, linewidth=1.2)
    axes.plot(0, 0, "o", color=LANDMARK, markersize=2.2, markeredgewidth=0)
    others = np.isfinite(points).all(axis=1) & (np.arange(len(points)) != number)
    for k in np.flatnonzero(others):
        x, y = plane.coordinates(points[k] - place)
        if abs(plane.distance(points[k], place)) < _NEAR and max(abs(x), abs(y)) < _HALF - 3:
            axes.plot(x, y, "o", markerfacecolor="none", markeredgecolor="#4cc9f0", markersize=4, markeredgewidth=0.8)
            axes.text(x + 1.2, y + 0.8, ids[k], color="#4cc9f0", fontsize=6)
    _draw_words(axes, plane, 7)
    _draw_scale(axes, (-_HALF + 2, -_HALF + 2), 10, 6)
    axes.set_xlim(-_HALF, _HALF)
    axes.set_ylim(-_HALF, _HALF)


def _draw_words(axes, plane: Plane, size: float) -> None:
    for x, y, word, across, upright in (
        (0.985, 0.5, plane.right_word, "right", "center"),
        (0.5, 0.985, plane.up_word, "center", "top"),
        (0.015, 0.985, plane.name, "left", "top"),
    ):
        axes.text(x, y, word, color=_TEXT, alpha=0.75, fontsize=size, ha=across, va=upright, transform=axes.transAxes)


def _draw_scale(axes, place: tuple[float, float], length: float, size: float) -> None:
    x, y = place
    axes.plot([x, x + length], [y, y], color=_TEXT, linewidth=1.5, solid_capstyle="butt")
    axes.text(x, y + 0.6, f"{length:.0f} mm", color=_TEXT, fontsize=size, va="bottom")


def _draw_overview(figure, image: Image, points: np.ndarray, result, protocol, planes, window) -> None:
    """The bones as seen along each plane's normal, with the axes of the angles that were taken in that plane."""
    placed = np.isfinite(points).all(axis=1)
    if not placed.any():
        return
    width, height = figure.get_size_inches()
    projections = bone_projections(image, planes, points[placed], window, margin=30.0, step=1.0)
    spans = np.array([(right - left, top - bottom) for _, (left, right, bottom, top) in projections])
    scale = min((_OVERVIEW - 2 * _EDGE) / spans[:, 1].max(), (width - 4 * _EDGE) / (spans[:, 0].sum() + 3 * _LEGEND))
    left = _EDGE
    for (picture, extent), plane, (across, upright) in zip(projections, planes, spans, strict=True):
        bottom = height - _EDGE - upright * scale
        axes = figure.add_axes((left / width, bottom / height, across * scale / width, upright * scale / height))
        _plain(axes)
        axes.imshow(np.sqrt(picture), cmap="gray", extent=extent, interpolation="bilinear")
        _draw_words(axes, plane, 9)
        _draw_scale(axes, (extent[0] + 4, extent[2] + 4), 50, 8)
        places = plane.coordinates(points[placed])
        axes.plot(*places.T, "o", color=LANDMARK, markersize=3, markeredgewidth=0)
        for name, (x, y) in zip(np.array(protocol.landmark_ids)[placed], places, strict=True):
            axes.text(x + 1.5, y + 1.5, name, color="#ffb39e", fontsize=6)
        _draw_angles(figure, axes, plane, result, protocol, (left + across * scale + 0.08, height - 0.1))
        axes.set_xlim(extent[:2])
        axes.set_ylim(extent[2:])
        left += (across + _LEGEND) * scale


def _draw_angles(figure, axes, plane: Plane, result, protocol, corner: tuple[float, float]) -> None:
    """Axes of the angles in ``plane``, each angle in a colour, and beside the picture its value or that it has none."""
    width, height = figure.get_size_inches()
    x, y = corner
    colours = cycle(COLOURS)
    for definition in protocol.measurements:
        entry = result.by_id(definition.id)
        if entry.plane != plane.name or not definition.drawn:
            continue
        colour = next(colours)
        for axis in entry.axes:
            axes.plot(*plane.coordinates(np.stack([axis.start, axis.end])).T, color=colour, linewidth=1.6, alpha=0.85)
        missing = f"{definition.abbreviation or entry.name}: no value"
        text = missing if entry.value is None else caption(entry, definition)
        figure.text(x / width, y / height, text, color=colour, fontsize=9, va="top")
        y -= 0.4 if "\n" in text else 0.25
