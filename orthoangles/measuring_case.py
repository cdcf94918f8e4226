"""One call of ``measure``: checked input, and intermediate results that several measurements share.

What depends on the protocol alone is worked out once (:class:`Plan`); what depends on the image alone once
per image.
"""

import math
from collections.abc import Mapping
from functools import cached_property, lru_cache
from typing import TYPE_CHECKING, Any, NamedTuple
from weakref import WeakKeyDictionary

import numpy as np

from orthoangles.axes import LinePlan, SolvedAxis, SolvedLines, line_plan, point_rows, solve_axis
from orthoangles.axis_angles import plane_normal
from orthoangles.framed import framed_measurements, planes_axes
from orthoangles.protocols import Column, Protocol

if TYPE_CHECKING:
    from orthoangles.measurement_frame import MeasurementFrame

_SIDES = {"l": "left", "left": "left", "r": "right", "right": "right", "b": None, "both": None, "u": None}


class ColumnPlan(NamedTuple):
    """A column with the landmark rows (n, 4) of its corners, and (id, name) of the lines of each vertebra.

    ``lines`` holds superior endplates, inferior endplates and midlines, in this order.
    """

    definition: Column
    rows: np.ndarray
    lines: tuple[tuple[tuple[str, str], ...], ...]


class Plan(NamedTuple):
    """What is fixed for a protocol.

    ``points``: weights (n,) over the landmarks for each point id. ``planes_axes``: ids of the axes on which its planes
    stand. ``framed``: ids of the measurements that the ground changes. ``lines``: of the axes of kind ``line``.
    """

    points: Mapping[str, np.ndarray]
    columns: Mapping[str, ColumnPlan]
    planes_axes: frozenset[str]
    framed: frozenset[str]
    lines: LinePlan


@lru_cache(maxsize=32)
def plan_of(protocol: Protocol) -> Plan:
    """The plan of a protocol, made once."""
    columns = {}
    for column in protocol.columns:
        rows = np.array([[protocol.index(corner) for corner in vertebra.corners] for vertebra in column.vertebrae])
        lines = (
            tuple((f"{v}-superior", f"superior endplate of {v}") for v in column.vertebra_ids),
            tuple((f"{v}-inferior", f"inferior endplate of {v}") for v in column.vertebra_ids),
            tuple((f"{v}-midline", f"midline of {v}") for v in column.vertebra_ids),
        )
        columns[column.id] = ColumnPlan(column, rows, lines)
    rows = point_rows(protocol)
    framed = framed_measurements(protocol)
    return Plan(rows, columns, planes_axes(protocol), framed, line_plan(protocol, rows))


class ImagePlane(NamedTuple):
    """In-plane coordinates of LPS points: ``points @ matrix + offset`` (n, 2) mm, x along columns, y down the
    rows.

    ``height`` is that of the image in mm (in pixels where it has no spacing), None where there is no image.
    """

    matrix: np.ndarray
    offset: np.ndarray
    height: float | None


_LPS_PLANE = ImagePlane(np.eye(3)[:, :2], np.zeros(2), None)
_PLANES: WeakKeyDictionary[Any, ImagePlane] = WeakKeyDictionary()


def image_plane(image: Any) -> ImagePlane:
    """Plane of an image; without one, LPS x and y."""
    if image is None:
        return _LPS_PLANE
    try:
        plane = _PLANES.get(image)
    except TypeError:  # no weak references, or not hashable: do without the cache
        return _image_plane(image)
    if plane is None:
        plane = _PLANES[image] = _image_plane(image)
    return plane


def _image_plane(image: Any) -> ImagePlane:
    """From where the origin and the three unit vectors of LPS fall, since index coordinates are affine."""
    index = np.asarray(image.index_points(np.vstack([np.zeros(3), np.eye(3)])), dtype=np.float64)
    gradients = index[1:, :2] - index[0, :2]
    spacing = 1 / np.linalg.norm(gradients, axis=0)
    return ImagePlane(gradients * spacing, index[0, :2] * spacing, float(image.size[1] * spacing[1]))


class ColumnCase:
    """A column's corners in one call: in the image plane and in LPS, with what is missing."""

    def __init__(self, plan: ColumnPlan, case: "Case") -> None:
        self.plan = plan
        self.definition = plan.definition
        self.height = case.plane.height
        # What is needed of the case, and not the case itself: a circle of references waits for the garbage collector.
        self._landmark_ids = case.protocol.landmark_ids
        self._missing, self._variance = case.missing, case.variance
        self.corners_lps = case.points.take(plan.rows, axis=0)
        """(n, 4, 3) LPS mm"""
        self.corners = self.corners_lps @ case.plane.matrix + case.plane.offset
        """(n, 4, 2) mm in the image plane"""
        self.memo: dict[Any, Any] = {}
        """results of Cobb rules that several measurements share"""

    @cached_property
    def squared_lengths(self) -> np.ndarray:
        """(3, n) mm^2 of superior endplate, inferior endplate and midline; NaN where a corner is missing."""
        vectors = np.empty((3, len(self.corners), 2))
        np.subtract(self.corners[:, 1], self.corners[:, 0], out=vectors[0])
        np.subtract(self.corners[:, 3], self.corners[:, 2], out=vectors[1])
        np.add(vectors[0], vectors[1], out=vectors[2])
        vectors[2] *= 0.5
        vectors *= vectors
        return vectors[..., 0] + vectors[..., 1]

    @cached_property
    def complete(self) -> bool:
        """Whether every vertebra has an endplate and a midline of some length, as the AASCE rule needs."""
        return self.all_sound or bool(self.squared_lengths.min() > 0)

    @cached_property
    def sound(self) -> np.ndarray:
        """(n,) whether all corners are placed, apart, and the right way round: what the clinical rule can use.

        Endplates that run opposite ways or a negative area would turn a tilt by half a turn.
        """
        superior, inferior, midline = self.squared_lengths
        same_way = 4 * midline > superior + inferior
        down_x, down_y = (self.corners[:, 3] - self.corners[:, 0]).T
        back_x, back_y = (self.corners[:, 2] - self.corners[:, 1]).T
        area = down_x * back_y - down_y * back_x
        return same_way & (area > 0) & (np.minimum(superior, inferior) > 0)

    @cached_property
    def all_sound(self) -> bool:
        """Whether every vertebra is sound."""
        return all(self.sound.tolist())

    @cached_property
    def line_ends(self) -> tuple[tuple[np.ndarray, np.ndarray], ...]:
        """Left and right ends (n, 3) LPS mm of superior endplates, inferior endplates and midlines."""
        c = self.corners_lps
        margins = (c[:, :2] + c[:, 2:]) / 2
        return (c[:, 0], c[:, 1]), (c[:, 2], c[:, 3]), (margins[:, 0], margins[:, 1])

    @cached_property
    def tilt_variances(self) -> list[list[float]] | None:
        """[3][n] rad^2 of the tilt of superior endplates, inferior endplates and midlines; None without
        spread.

        To first order: a line of length L turns by (d_end - d_start) / L when its ends move by d across it.
        """
        if self._variance is None:
            return None
        v = self._variance.take(self.plan.rows)
        variances = np.empty((3, len(v)))
        np.add(v[:, 0], v[:, 1], out=variances[0])
        np.add(v[:, 2], v[:, 3], out=variances[1])
        np.add(variances[0], variances[1], out=variances[2])
        variances[2] /= 4
        variances /= self.squared_lengths
        return variances.tolist()

    def absent_text(self) -> str:
        """What keeps vertebrae from being measured at all, for a reason or a warning; empty where nothing does."""
        missing = self._missing[self.plan.rows]
        absent = [self._landmark_ids[i] for i in self.plan.rows[missing]]
        shrunk = ~missing.any(axis=1) & ~(self.squared_lengths > 0).all(axis=0)
        texts = [f"{_listed(absent)} not placed"] if absent else []
        texts += [f"corners of {self.definition.vertebra_ids[k]} coincide" for k in shrunk.nonzero()[0]]
        return "; ".join(texts)


def _listed(names: list[str], shown: int = 6) -> str:
    more = f" and {len(names) - shown} more" if len(names) > shown else ""
    return ", ".join(names[:shown]) + more


class Case:
    """Checked input of one call of ``measure``."""

    def __init__(
        self,
        protocol: Protocol,
        points: np.ndarray,
        *,
        spread: np.ndarray | None = None,
        image: Any = None,
        age: float | None = None,
        laterality: str | None = None,
        foreground: Mapping[str, np.ndarray] | None = None,
        frame: "MeasurementFrame | None" = None,
    ) -> None:
        if frame is not None and protocol.dimension == 2:
            raise ValueError(f"protocol {protocol.id} measures radiographs, in their own plane: give no frame")
        self.protocol = protocol
        self.frame = frame
        self.plan = plan_of(protocol)
        self.points, self.missing = _checked_points(points, len(protocol.landmarks))
        self.variance = None if spread is None else _checked_variance(spread, len(protocol.landmarks))
        self.plane = image_plane(image)
        self.in_mm = bool(getattr(image, "has_spacing", True))
        if age is not None and not age >= 0:
            raise ValueError(f"age is {age}, expected years, zero or more")
        self.age = age
        if laterality is not None and str(laterality).lower() not in _SIDES:
            raise ValueError(f"laterality is '{laterality}', expected left or right")
        self.side = None if laterality is None else _SIDES[str(laterality).lower()]
        self.foreground = foreground or {}
        self._columns: dict[str, ColumnCase] = {}
        self._axes: dict[str, SolvedAxis | str] = {}
        self._normals: dict[str, np.ndarray | str] = {}
        self.projected: dict[tuple[str, str], np.ndarray | str] = {}
        """directions by plane and axis, and below the senses of turn by axes and plane, that several angles share"""
        self.turns: dict[tuple, int | str] = {}

    def turned(self, vector: np.ndarray) -> np.ndarray:
        """A fixed LPS vector (3,) of the protocol, turned with the frame."""
        return vector if self.frame is None else self.frame.rotation @ vector

    def frame_details(self, measurement_id: str) -> dict[str, str]:
        """On what ground the measurement was taken; empty where the ground does not matter or no frame was given."""
        if self.frame is None or measurement_id not in self.plan.framed:
            return {}
        return self.frame.details

    def column(self, column_id: str) -> ColumnCase:
        """The column of that id."""
        column = self._columns.get(column_id)
        if column is None:
            column = self._columns[column_id] = ColumnCase(self.plan.columns[column_id], self)
        return column

    @cached_property
    def lines(self) -> SolvedLines:
        """All axes of kind ``line``."""
        return SolvedLines(self.plan.lines, self.points, self.missing)

    def axis(self, axis_id: str) -> SolvedAxis | str:
        """The axis of that id, or the reason why there is none."""
        if axis_id not in self._axes:
            self._axes[axis_id] = solve_axis(self, self.protocol.axis_by_id[axis_id])
        return self._axes[axis_id]

    def normal(self, plane_id: str) -> np.ndarray | str:
        """Unit normal (3,) LPS of the plane of that id, or the reason why there is none."""
        if plane_id not in self._normals:
            self._normals[plane_id] = plane_normal(self, plane_id)
        return self._normals[plane_id]


def _checked_points(points: np.ndarray, n: int) -> tuple[np.ndarray, np.ndarray]:
    points = np.array(points, dtype=np.float64)  # a copy: lines of the result are views of it
    if points.shape != (n, 3):
        raise ValueError(f"points have shape {points.shape}, expected ({n}, 3)")
    if math.isfinite(np.vdot(points, points)):  # the usual case, told in one pass
        return points, np.zeros(n, dtype=bool)
    absent = np.isnan(points)
    missing = absent.any(axis=1)
    if (missing != absent.all(axis=1)).any():
        raise ValueError("a row of points is NaN in part; a missing landmark is NaN in all three coordinates")
    if np.isinf(points).any():
        raise ValueError("points hold an infinite coordinate")
    return points, missing


def _checked_variance(spread: np.ndarray, n: int) -> np.ndarray:
    spread = np.asarray(spread, dtype=np.float64)
    if spread.shape != (n,):
        raise ValueError(f"spread has shape {spread.shape}, expected ({n},)")
    if (spread < 0).any():
        raise ValueError("spread holds a negative number, expected mm")
    return spread**2
