"""The surface of a union of balls, smoothed and cut by the ground: the field that a foot's skin is drawn from.

The union is exact on a grid but for the balls' centres, which are put on its nodes (a power distance transform).
"""

from dataclasses import dataclass

import numpy as np

CUT = 15.0
"""mm that are cut off the top, which would be round."""
LARGEST_BALL = 30.0
"""mm: what lies farther from every ball is outside."""
_SPACING = 3.0  # mm between the nodes of the field
_LEG_STRIDE = 4  # the leg is smooth: every fourth plane is enough for its surface
_THINNEST = 2.5  # mm of skin and fat over every vertex of a bone, before the last smoothing (inferred)


@dataclass(frozen=True)
class Balls:
    """``centres`` (n, 3) mm and ``radii`` (n,) mm."""

    centres: np.ndarray
    radii: np.ndarray

    def __add__(self, other: "Balls") -> "Balls":
        return Balls(np.vstack([self.centres, other.centres]), np.concatenate([self.radii, other.radii]))


def ball_surface(balls: Balls, points: np.ndarray, toes_from: float) -> tuple[np.ndarray, np.ndarray]:
    """The smoothed union of the balls above the ground, as a mesh that holds all ``points``.

    Toes lie beyond ``toes_from`` (y in mm).
    """
    from scipy.ndimage import gaussian_filter
    from skimage.measure import marching_cubes

    low = (balls.centres - balls.radii[:, None]).min(axis=0) - 4 * _SPACING
    high = (balls.centres + balls.radii[:, None]).max(axis=0) + 4 * _SPACING
    top = balls.centres[:, 2].max() - CUT  # a flat cut below the round end of the leg
    below = 6  # planes below the ground, so that smoothing does not pull the sole up
    low[2], high[2] = -below * _SPACING, top + 4 * _SPACING
    shape = tuple(np.ceil((high - low) / _SPACING).astype(int) + 1)
    plane_y = low[1] + _SPACING * np.arange(shape[1])
    toe_share = np.clip((plane_y - toes_from) / 12.0, 0.0, 1.0).astype(np.float32)
    field = _smoothed_distance(balls, low, shape, toe_share)
    _cover(field, points, low)
    field = gaussian_filter(field, 0.6, mode="nearest", truncate=3.0)
    field = field[:, :, below - 1 :]
    field[:, :, 0] = 1.0  # outside below the ground; these vertices are put on it further on
    top_plane = int((top - low[2]) / _SPACING) - below + 1
    field[:, :, top_plane:] = 1.0
    planes = np.concatenate([np.arange(0, min(36, top_plane)), np.arange(36, top_plane, _LEG_STRIDE), [top_plane]])
    planes = np.unique(planes)
    vertices, faces, _, _ = marching_cubes(field[:, :, planes], 0.0, gradient_direction="ascent")
    heights = (planes - 1) * _SPACING
    z = np.interp(vertices[:, 2], np.arange(len(planes)), heights)
    vertices = np.column_stack([vertices[:, :2] * _SPACING + low[:2], np.maximum(z, 0.0)]).astype(np.float64)
    return _tidy(vertices, faces)


def _tidy(vertices: np.ndarray, faces: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The largest connected part, faces outward."""
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    n = len(vertices)
    links = coo_array((np.ones(len(faces) * 2), (faces[:, (0, 1)].ravel(), faces[:, (1, 2)].ravel())), shape=(n, n))
    _, part = connected_components(links, directed=False)
    keep = part == np.bincount(part).argmax()
    faces = faces[keep[faces[:, 0]]]
    index = np.cumsum(keep) - 1
    vertices, faces = vertices[keep], index[faces].astype(np.int32)
    a, b, c = (vertices[faces[:, corner]] for corner in range(3))
    if np.einsum("ij,ij->", a, np.cross(b, c)) < 0:
        faces = np.ascontiguousarray(faces[:, ::-1])
    return vertices, faces


def _smoothed_distance(balls: Balls, low: np.ndarray, shape: tuple[int, ...], toe_share: np.ndarray) -> np.ndarray:
    """Approximate signed distance in mm (float32, negative inside) on the grid, clipped near the surface, smoothed.

    ``toe_share`` (shape[1],) is 1 at the planes of the toes, where less is smoothed.
    """
    from scipy.ndimage import gaussian_filter

    power = _power_distance(balls.centres, balls.radii, low, shape)
    # Power distance to distance: exact at the surface of balls of this radius, off by a factor near others.
    typical = np.float32(8.0)
    distance = np.sqrt(np.maximum(power + typical**2, 0.0)) - typical
    np.clip(distance, -9.0, 9.0, out=distance)
    # Toes keep their outlines; elsewhere skin bridges the valleys between the bones.
    smooth = gaussian_filter(distance, 2.2, mode="nearest", truncate=2.5)
    smooth += toe_share[None, :, None] * (distance - smooth)
    return smooth


def _cover(field: np.ndarray, points: np.ndarray, low: np.ndarray) -> None:
    """Lower ``field`` so that skin covers every one of the bones' ``points``."""
    radius = _THINNEST + 2 * _SPACING
    power = _power_distance(points, np.full(len(points), radius), low, field.shape)
    near = power < 0
    field[near] = np.minimum(field[near], np.sqrt(power[near] + np.float32(radius**2)) - np.float32(_THINNEST))


def _power_distance(centres: np.ndarray, radii: np.ndarray, low: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """Least |x - c|^2 - r^2 over the balls at every node (float32, mm2), the centres put on the nearest node."""
    power = np.full(shape, np.float32(LARGEST_BALL**2))
    nodes = np.rint((centres - low) / _SPACING).astype(int)
    inside = ((nodes >= 0) & (nodes < shape)).all(axis=1)
    np.minimum.at(power, tuple(nodes[inside].T), -(radii[inside] ** 2).astype(np.float32))
    reach = int(np.ceil(min(float(radii.max()) + 2 * _SPACING, LARGEST_BALL) / _SPACING))
    for axis in range(3):
        power = _lower_envelope(power, axis, reach)
    return power


def _lower_envelope(power: np.ndarray, axis: int, reach: int) -> np.ndarray:
    """Lower envelope of the parabolas that stand on every node, along one axis (min-plus convolution)."""
    out = power.copy()
    count = power.shape[axis]
    for step in range(1, min(reach, count - 1) + 1):
        cost = np.float32((step * _SPACING) ** 2)
        ahead = [slice(None)] * 3
        behind = [slice(None)] * 3
        ahead[axis], behind[axis] = slice(step, None), slice(None, count - step)
        ahead, behind = tuple(ahead), tuple(behind)
        np.minimum(out[ahead], power[behind] + cost, out=out[ahead])
        np.minimum(out[behind], power[ahead] + cost, out=out[behind])
    return out
