"""The frame in which a volume is measured: which way is up, and which way the foot points; the reader can set both.

Example::

    up = ground_from_points(protocol, points)      # or a reason, in words
    frame = MeasurementFrame(up, ground="landmarks")
    result = measure(protocol, points, frame=frame)
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from orthoangles.axes import SolvedAxis
from orthoangles.geometry import angle_between, cross_product, length, project, triple_product
from orthoangles.measuring_case import Case
from orthoangles.protocols import Protocol

GROUNDS = {"scanner": "scanner's vertical", "landmarks": "from landmarks", "reader": "set by reader"}
"""Where a frame's ground may come from, and the words for it."""

_VERTICAL = (0.0, 0.0, 1.0)
_ALONG = 1e-6
"""Sine: two directions nearer than that name no plane."""
_LEAN = 15.0
"""Degrees between two grounds that are warned of; of 141 simulated standing feet the largest was 11, 95 % below 3."""
_SIDED = 0.1
"""Sine: axes nearer to each other, or to the vertical, do not tell which foot it is."""
_FLAT = 0.05
"""Sine, about 3 degrees: points nearer to one line name no plane, and points nearer to a plane no side of it."""


def _unit(vector: Sequence[float], name: str) -> tuple[float, float, float]:
    values = np.asarray(vector, dtype=np.float64)
    if values.shape != (3,):
        raise ValueError(f"{name} has shape {values.shape}, expected (3,)")
    size = length(values)
    if not math.isfinite(size) or size == 0:
        raise ValueError(f"{name} is {values.tolist()}, expected a direction: finite, and not zero")
    x, y, z = (values / size).tolist()
    return x, y, z


@dataclass(frozen=True)
class MeasurementFrame:
    """Upward normal of the ground and, where it is set, the direction to which the foot points; unit vectors, LPS.

    ``up``: all fixed directions and planes of a 3D protocol turn by the least rotation that takes the patient's third
    axis to it. ``forward``: takes the place of the axis on which the protocol's planes stand, projected on the ground;
    None: the landmarks give that axis. ``ground`` is a key of :data:`GROUNDS`; a frame whose ``up`` is not the
    scanner's is never called ``scanner``.

    Raises:
        ValueError: not three numbers, not finite, zero; ``forward`` along ``up``; an unknown ``ground``.

    >>> MeasurementFrame((0.0, 0.0, 2.0)).description
    "ground: scanner's vertical; foot axis: from landmarks"
    """

    up: tuple[float, float, float] = _VERTICAL
    forward: tuple[float, float, float] | None = None
    ground: str = "scanner"

    def __post_init__(self) -> None:
        if self.ground not in GROUNDS:
            raise ValueError(f"ground is '{self.ground}', expected one of {', '.join(GROUNDS)}")
        object.__setattr__(self, "up", _unit(self.up, "up"))
        if self.ground == "scanner" and self.up != _VERTICAL:
            object.__setattr__(self, "ground", "reader")
        if self.forward is not None:
            object.__setattr__(self, "forward", _unit(self.forward, "forward"))
            if np.linalg.norm(project(np.array(self.forward), np.array(self.up))) < _ALONG:
                raise ValueError("forward runs along up, and names no direction on the ground")

    @cached_property
    def ahead(self) -> np.ndarray | None:
        """(3,) unit vector: ``forward`` on the ground; None where the landmarks give the axis."""
        if self.forward is None:
            return None
        flat = project(np.array(self.forward), np.array(self.up))
        return flat / np.linalg.norm(flat)

    @cached_property
    def rotation(self) -> np.ndarray:
        """(3, 3) least rotation that takes (0, 0, 1) to ``up``; half a turn about the first axis where that is down."""
        x, y, z = self.up
        squared = x**2 + y**2
        if z < 0 and squared < 1e-30:
            return np.diag([1.0, -1.0, -1.0])
        # Rodrigues' formula; 1 + z loses its digits where z nears -1.
        share = 1 / (1 + z) if z >= 0 else (1 - z) / squared
        return np.array([[1 - share * x * x, -share * x * y, x], [-share * x * y, 1 - share * y * y, y], [-x, -y, z]])

    @cached_property
    def details(self) -> dict[str, str]:
        """Where ``ground`` and ``foot axis`` come from, in words."""
        axis = GROUNDS["landmarks" if self.forward is None else "reader"]
        return {"ground": GROUNDS[self.ground], "foot axis": axis}

    @property
    def description(self) -> str:
        """Ground and foot axis in one line."""
        return "; ".join(f"{key}: {source}" for key, source in self.details.items())

    def as_json(self) -> dict:
        """``up``, ``forward`` (null where the landmarks give the axis) and ``ground``, for a report or a scene."""
        forward = None if self.forward is None else list(self.forward)
        return {"up": list(self.up), "forward": forward, "ground": self.ground}


SCANNER = MeasurementFrame()
"""The scanner's vertical and the landmarks' axis: what is used where no frame is given."""


def ground_from_points(protocol: Protocol, points: np.ndarray) -> np.ndarray | str:
    """Upward unit normal (3,) LPS of the ground as the protocol's three ground landmarks show it, or why they do not.

    ``points`` (n, 3) LPS mm, NaN where missing. Up is where the other landmarks lie; the three stand above each other
    by the protocol's heights. ValueError as :func:`orthoangles.measuring.measure`.
    """
    case = Case(protocol, points)
    if protocol.frame is None:
        return f"protocol {protocol.id} names no landmarks of the ground"
    rows = [protocol.index(name) for name in protocol.frame.ground]
    absent = [protocol.landmark_ids[row] for row in rows if case.missing[row]]
    if absent:
        return f"{', '.join(absent)} not placed"
    named = ", ".join(protocol.frame.ground)
    corner, second, third = case.points[rows]
    sides = np.array([second - corner, third - corner])
    longest = max(length(side) for side in (*sides, third - second))
    normal = cross_product(*sides)
    if not length(normal) > _FLAT * longest**2:
        return f"{named} lie on a line, and no plane goes through them alone"
    normal = normal / length(normal)
    others = np.delete(case.points, rows, axis=0)
    others = others[~np.isnan(others[:, 0])]
    height = float((others - corner).mean(axis=0) @ normal) if len(others) else 0.0
    if abs(height) < _FLAT * longest:
        return f"no landmarks above {named} tell which side of their plane is up"
    first, *rises = np.array(protocol.frame.heights) * longest
    return _rising(sides, np.array(rises) - first, normal if height > 0 else -normal)


def _rising(sides: np.ndarray, rises: np.ndarray, normal: np.ndarray) -> np.ndarray | str:
    """Unit vector along which two ``sides`` (2, 3) of a triangle rise by ``rises`` (2,), near its unit ``normal``."""
    within = np.linalg.solve(sides @ sides.T, rises) @ sides  # the shortest vector with these rises
    rest = 1.0 - float(within @ within)
    if rest <= 0:
        return "the landmarks of the ground are too near to each other for the heights at which they should lie"
    return within + math.sqrt(rest) * normal


def frame_on(ground: str, protocol: Protocol, points: np.ndarray) -> tuple[MeasurementFrame | None, tuple[str, ...]]:
    """The frame on the ground of the ``scanner`` or of the ``landmarks``, and a warning where these do not tell it.

    Without them it is the scanner's. A radiograph has no frame: None. ``points`` and errors as in
    :func:`ground_from_points`; ValueError for another ground.
    """
    if ground not in ("scanner", "landmarks"):
        raise ValueError(f"ground is '{ground}', expected scanner or landmarks")
    if protocol.dimension == 2:
        return None, ()
    up = SCANNER.up if ground == "scanner" else ground_from_points(protocol, points)
    if isinstance(up, str):
        return SCANNER, (f"the landmarks do not tell the ground ({up}): measured on the scanner's vertical",)
    return MeasurementFrame(up, ground=ground), ()


def frame_warnings(protocol: Protocol, points: np.ndarray, frame: MeasurementFrame) -> tuple[str, ...]:
    """What does not look right about a frame on these landmarks: the ground leans, or the axis runs to the heel.

    ``points`` and errors as in :func:`ground_from_points`.
    """
    if protocol.frame is None:
        return ()
    found = []
    up = ground_from_points(protocol, points)
    if not isinstance(up, str):
        lean = float(angle_between(up, frame.up))
        if lean > _LEAN:
            found.append(
                f"the ground ({GROUNDS[frame.ground]}) leans by {lean:.0f} degrees against that of the landmarks: "
                "the foot may not have been standing, or the scan may be turned"
            )
    own = _planes_axis(Case(protocol, points))
    if frame.ahead is not None and not isinstance(own, str) and float(frame.ahead @ own.direction) < 0:
        found.append(
            f"the foot axis that was set runs against the line {own.line.name}: signs of angles may be turned round"
        )
    return tuple(found)


def frame_axes(
    protocol: Protocol, points: np.ndarray, frame: MeasurementFrame | None = None
) -> tuple[np.ndarray, np.ndarray] | str:
    """Origin (3,) LPS mm and unit axes (3, 3), rows lateral, forward, up, of a frame on a foot; or why there are none.

    The origin is the start of the foot's axis (the heel); without its landmarks it lies under the middle of those that
    are placed, at the height of the lowest. The axes of a right foot are right-handed, those of a left foot are not.
    ``points`` and errors as in :func:`ground_from_points`.
    """
    if protocol.frame is None:
        return f"protocol {protocol.id} has no frame"
    frame = frame or SCANNER
    case = Case(protocol, points, frame=frame)
    up = np.array(frame.up)
    forward = _forward(case, up)
    if isinstance(forward, str):
        return forward
    lateral = _lateral(case, forward, up)
    if isinstance(lateral, str):
        return lateral
    return _origin(case, up), np.array([lateral, forward, up])


def side_from_points(protocol: Protocol, points: np.ndarray, frame: MeasurementFrame | None = None) -> str | None:
    """Which foot it is, ``left`` or ``right``, as its landmarks show in a volume; None where they do not.

    Only ``up`` of the frame is used. ``points`` and errors as in :func:`ground_from_points`.
    """
    if protocol.frame is None:
        return None
    up = np.array((frame or SCANNER).up)
    case = Case(protocol, points)
    lateral, distal = (_on_ground(case, ids, up) for ids in (protocol.frame.lateral, protocol.frame.distal))
    if lateral is None or distal is None:
        return None
    sine = triple_product(lateral, distal, up)
    if abs(sine) < _SIDED:
        return None
    return "right" if sine > 0 else "left"


def _on_ground(case: Case, axis_ids: tuple[str, ...], up: np.ndarray) -> np.ndarray | None:
    """Unit direction (3,) on the ground of the first axis that is there and does not stand upright."""
    for axis_id in axis_ids:
        axis = case.axis(axis_id)
        if isinstance(axis, str):
            continue
        flat = project(axis.direction, up)
        size = length(flat)
        if size > _SIDED:
            return flat / size
    return None


def _forward(case: Case, up: np.ndarray) -> np.ndarray | str:
    axis = _planes_axis(case)
    if isinstance(axis, str):
        return axis
    flat = project(axis.direction, up)
    size = length(flat)
    return flat / size if size > _ALONG else f"{axis.line.name} stands upright, and no plane along it is upright"


def _planes_axis(case: Case) -> SolvedAxis | str:
    """The axis on which the protocol's planes stand."""
    for plane in case.protocol.planes:
        if plane.axis:
            return case.axis(plane.axis)
    return f"no plane of protocol {case.protocol.id} stands on an axis"


def _lateral(case: Case, forward: np.ndarray, up: np.ndarray) -> np.ndarray | str:
    """Across the foot, to the side that the first of the protocol's lateral axes shows."""
    across = cross_product(forward, up)
    reasons = []
    for axis_id in case.protocol.frame.lateral:
        axis = case.axis(axis_id)
        if isinstance(axis, str):
            reasons.append(axis)
            continue
        along = float(axis.direction @ across)
        if abs(along) > _FLAT:
            return across if along > 0 else -across
    return "; ".join(["no landmarks tell which side is lateral", *reasons])


def _origin(case: Case, up: np.ndarray) -> np.ndarray:
    axis = next(case.protocol.axis_by_id[plane.axis] for plane in case.protocol.planes if plane.axis)
    used = np.any([case.plan.points[name] != 0 for name in axis.start], axis=0) if axis.start else None
    if used is not None and not (used & case.missing).any():
        weights = np.mean([case.plan.points[name] for name in axis.start], axis=0)
        return weights[used] @ case.points[used]
    placed = case.points[~case.missing]
    if not len(placed):
        return np.zeros(3)
    middle = placed.mean(axis=0)
    return middle + ((placed - middle) @ up).min() * up
