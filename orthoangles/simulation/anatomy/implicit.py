"""Solids as signed distance fields, and closed meshes of them: what the procedural bones are cut from.

A **field** takes points (n, 3) in mm and returns values (n,): negative inside, 0 on the surface, about the distance
elsewhere. Fields are joined and cut smoothly; the constructions are the usual ones of implicit modelling
(I. Quilez, "distance functions", describes each of the primitives).
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

Field = Callable[[np.ndarray], np.ndarray]

_TINY = 1e-6


def turned(x: float = 0.0, y: float = 0.0, z: float = 0.0) -> np.ndarray:
    """Rotation (3, 3) about x, then y, then z, in degrees; its columns are the axes of the turned frame."""
    from scipy.spatial.transform import Rotation

    return Rotation.from_euler("xyz", (x, y, z), degrees=True).as_matrix()


def along(start: Sequence[float], end: Sequence[float], up: Sequence[float] = (0.0, 0.0, 1.0)) -> np.ndarray:
    """Frame (3, 3) whose second column points from ``start`` to ``end`` and whose third is nearest to ``up``."""
    forward = np.subtract(end, start).astype(float)
    forward /= np.linalg.norm(forward)
    sideways = np.cross(forward, up)
    sideways /= np.linalg.norm(sideways)
    return np.column_stack([sideways, forward, np.cross(sideways, forward)])


def ellipsoid(centre: Sequence[float], radii: Sequence[float], axes: np.ndarray | None = None) -> Field:
    """Ellipsoid of ``radii`` along the columns of ``axes``."""
    radius = np.asarray(radii, dtype=float)

    def field(points: np.ndarray) -> np.ndarray:
        return _ellipse_distance(_local(points, centre, axes), radius)

    return field


def box(centre: Sequence[float], half: Sequence[float], rounding: float, axes: np.ndarray | None = None) -> Field:
    """Box of half sides ``half`` (the rounding included) with edges rounded to a radius of ``rounding``."""
    inner = np.asarray(half, dtype=float) - rounding

    def field(points: np.ndarray) -> np.ndarray:
        beyond = np.abs(_local(points, centre, axes)) - inner
        outside = np.sqrt((np.maximum(beyond, 0) ** 2).sum(axis=1))
        return outside + np.minimum(beyond.max(axis=1), 0) - rounding

    return field


def cone(start: Sequence[float], end: Sequence[float], start_radius: float, end_radius: float) -> Field:
    """Rod from ``start`` to ``end`` with round ends, its radius going evenly from one to the other."""
    base, axis = np.asarray(start, dtype=float), np.subtract(end, start).astype(float)

    def field(points: np.ndarray) -> np.ndarray:
        offset = points - base
        share = np.clip(offset @ axis / (axis @ axis), 0, 1)
        distance = np.sqrt(((offset - share[:, None] * axis) ** 2).sum(axis=1))
        return distance - (start_radius + share * (end_radius - start_radius))

    return field


def loft(
    stations: Sequence[Sequence[float]], origin: Sequence[float], axes: np.ndarray, rounding: float = 2.0
) -> Field:
    """Rod of elliptic cross-sections along the second column of ``axes``.

    Each station is (position along, half width, half height, centre across, centre up) in mm from ``origin``; between
    stations they go by a shape-preserving cubic. Both ends are flat with a rounded rim.
    """
    from scipy.interpolate import PchipInterpolator

    table = np.asarray(stations, dtype=float)
    sections = PchipInterpolator(table[:, 0], table[:, 1:], axis=0)
    low, high = table[0, 0], table[-1, 0]

    def field(points: np.ndarray) -> np.ndarray:
        local = _local(points, origin, axes)
        width, height, across, up = sections(np.clip(local[:, 1], low, high)).T
        section = np.column_stack([local[:, 0] - across, local[:, 2] - up])
        side = _ellipse_distance(section, np.column_stack([width, height]))
        end = np.abs(local[:, 1] - (low + high) / 2) - (high - low) / 2
        return -smooth_minimum(-side, -end, rounding)

    return field


def boundary(point: Sequence[float], normal: Sequence[float], bulge: float = 0.0) -> Field:
    """Signed distance beyond a joint surface through ``point``, positive on the side of ``normal``.

    ``bulge`` (1/mm) is the surface's curvature: positive where it arches towards the normal, 0 for a plane.
    """
    at, direction = np.asarray(point, dtype=float), np.asarray(normal, dtype=float)
    direction = direction / np.linalg.norm(direction)

    def field(points: np.ndarray) -> np.ndarray:
        offset = points - at
        if not bulge:
            return offset @ direction
        from_centre = offset + direction / bulge
        return np.sign(bulge) * np.sqrt((from_centre**2).sum(axis=1)) - 1 / bulge

    return field


def union(blend: float, *fields: Field) -> Field:
    """All of ``fields``, their seams filled over about ``blend`` mm."""

    def field(points: np.ndarray) -> np.ndarray:
        value = fields[0](points)
        for other in fields[1:]:
            value = smooth_minimum(value, other(points), blend)
        return value

    return field


def without(solid: Field, tools: Sequence[Field], gap: float, blend: float = 0.8) -> Field:
    """``solid`` less everything nearer than ``gap`` mm to one of ``tools``: a joint cut to its partner's shape."""

    def field(points: np.ndarray) -> np.ndarray:
        value = solid(points)
        for tool in tools:
            value = -smooth_minimum(-value, tool(points) - gap, blend)
        return value

    return field


def smooth_minimum(first: np.ndarray, second: np.ndarray, blend: float) -> np.ndarray:
    """The smaller of two fields, rounded where they differ by less than ``blend``."""
    overlap = np.maximum(blend - np.abs(first - second), 0)
    return np.minimum(first, second) - overlap * overlap / (4 * blend)


def before(solid: Field, border: Field, gap: float, blend: float = 2.5) -> Field:
    """What of ``solid`` lies ``gap`` mm or more short of a boundary."""

    def field(points: np.ndarray) -> np.ndarray:
        return -smooth_minimum(-solid(points), -border(points) - gap, blend)

    return field


def opposite(border: Field) -> Field:
    """The same boundary seen from its other side."""
    return lambda points: -border(points)


@dataclass(frozen=True, eq=False)
class Solid:
    """A field with the box it lies in: ``low`` and ``high`` (3,) mm along the columns of ``axes`` from ``origin``."""

    field: Field
    origin: np.ndarray
    axes: np.ndarray
    low: np.ndarray
    high: np.ndarray


def mesh(solid: Solid, step: float) -> tuple[np.ndarray, np.ndarray]:
    """Closed mesh of a solid on a grid of ``step`` mm: vertices (n, 3) mm and faces (m, 3) facing outward.

    Marching cubes leave slivers, so the vertices are evened out and put back on the surface.
    """
    from skimage.measure import marching_cubes

    counts = np.maximum(np.ceil((solid.high - solid.low) / step).astype(int) + 1, 3)
    ticks = [solid.low[axis] + step * np.arange(counts[axis]) for axis in range(3)]
    grid = np.stack(np.meshgrid(*ticks, indexing="ij"), axis=-1).reshape(-1, 3)
    values = solid.field(grid @ solid.axes.T + solid.origin).reshape(tuple(counts))
    # A solid that leaves its box is closed there.
    values = np.pad(values, 1, constant_values=step)
    vertices, faces, _, _ = marching_cubes(values, 0.0, gradient_direction="ascent", allow_degenerate=False)
    local = (vertices - 1) * step + solid.low
    points = local @ solid.axes.T + solid.origin
    faces = faces.astype(np.int32)
    for strength in (0.6, 0.4, 0.0):
        points = _evened(points, faces, strength) if strength else points
        points = _on_surface(points, solid.field, step)
    return points, _outward(points, faces)


def _evened(points: np.ndarray, faces: np.ndarray, strength: float) -> np.ndarray:
    total, count = np.zeros_like(points), np.zeros(len(points))
    for corner in range(3):
        for other in (1, 2):
            neighbour = points[faces[:, (corner + other) % 3]]
            for axis in range(3):
                total[:, axis] += np.bincount(faces[:, corner], neighbour[:, axis], len(points))
            count += np.bincount(faces[:, corner], minlength=len(points))
    return points + strength * (total / count[:, None] - points)


def _on_surface(points: np.ndarray, field: Field, step: float) -> np.ndarray:
    """One Newton step along the gradient, no longer than half a grid step."""
    small = 0.05
    value = field(points)
    gradient = np.column_stack([field(points + small * axis) - value for axis in np.eye(3)]) / small
    square = np.maximum((gradient * gradient).sum(axis=1), 0.04)
    move = np.clip(-value / square, -step / 2, step / 2)[:, None] * gradient
    return points + move


def _outward(points: np.ndarray, faces: np.ndarray) -> np.ndarray:
    a, b, c = (points[faces[:, corner]] for corner in range(3))
    return faces if np.einsum("ij,ij->", a, np.cross(b, c)) > 0 else np.ascontiguousarray(faces[:, ::-1])


def _local(points: np.ndarray, origin: Sequence[float], axes: np.ndarray | None) -> np.ndarray:
    offset = points - np.asarray(origin, dtype=float)
    return offset if axes is None else offset @ axes


def _ellipse_distance(points: np.ndarray, radii: np.ndarray) -> np.ndarray:
    scaled = points / radii
    length = np.sqrt((scaled * scaled).sum(axis=1))
    slope = np.sqrt(((scaled / radii) ** 2).sum(axis=1))
    return length * (length - 1) / np.maximum(slope, _TINY)
