"""Where a whole foot lies, from the few landmarks of a protocol: an octagon around it, in the foot's own directions.

The margins are shares of a length between landmarks, chosen by eye on simulated feet such that toes and heel are in.
"""

from collections.abc import Mapping

import numpy as np

Points = Mapping[str, np.ndarray]

AP_NEEDED = ("A15", "A16", "MT1-1", "MT1-5", "MT2-1", "MT2-5", "PP1-5")
LATERAL_NEEDED = ("L5", "L7", "L11")

_CUT = 0.22
"""How much of the shorter side an octagon lacks at each corner."""


def ap_outline(points: Points) -> np.ndarray | None:
    """(8, 2) octagon of an AP foot from the landmarks of ``foot-ap`` and ``foot-ap-hallux`` by id, in their unit.

    Clockwise seen with the toes up in an image that is not mirrored, or counterclockwise; the first edge is that of the
    toes. None where one of :data:`AP_NEEDED` is missing.
    """
    if not _known(points, AP_NEEDED):
        return None
    head = points["MT2-5"]
    distal, length = _unit(head - points["A16"])
    lateral = _across(distal, _middle(points, "MT2-1", "MT2-5") - _middle(points, "MT1-1", "MT1-5"))
    along, across = _extent(points, head, distal), _extent(points, head, lateral)
    return _octagon(
        head,
        (distal, along[0] - 0.15 * length, max(along[1] + 0.12 * length, 0.38 * length)),
        (lateral, across[0] - 0.08 * length, max(across[1] + 0.05 * length, 0.38 * length)),
    )


def lateral_outline(points: Points) -> np.ndarray | None:
    """(8, 2) octagon of a lateral foot up to the ankle from the landmarks of ``foot-lateral``; first edge: dorsum.

    None where one of :data:`LATERAL_NEEDED` is missing.
    """
    if not _known(points, LATERAL_NEEDED):
        return None
    heel = points["L11"]
    distal, length = _unit(points["L7"] - heel)
    dorsal = _across(distal, points["L5"] - heel)
    along, up = _extent(points, heel, distal), _extent(points, heel, dorsal)
    return _octagon(
        heel,
        (dorsal, up[0] - 0.1 * length, up[1] + 0.12 * length),
        (distal, along[0] - 0.15 * length, 1.55 * length),
    )


def up_vector(outline: np.ndarray) -> np.ndarray:
    """(..., 2) unit vectors from the last edge of octagons (..., 8, 2) to their first."""
    across = outline[..., [0, 1], :].mean(-2) - outline[..., [4, 5], :].mean(-2)
    return across / np.linalg.norm(across, axis=-1, keepdims=True)


def _known(points: Points, needed: tuple[str, ...]) -> bool:
    return all(np.isfinite(points.get(name, np.array([np.nan]))).all() for name in needed)


def _unit(vector: np.ndarray) -> tuple[np.ndarray, float]:
    length = float(np.linalg.norm(vector))
    return vector / length, length


def _middle(points: Points, one: str, other: str) -> np.ndarray:
    return (points[one] + points[other]) / 2


def _across(along: np.ndarray, towards: np.ndarray) -> np.ndarray:
    """Unit vector at right angles to ``along``, on the side of ``towards``."""
    normal = np.array([-along[1], along[0]])
    return normal if normal @ towards > 0 else -normal


def _extent(points: Points, origin: np.ndarray, direction: np.ndarray) -> tuple[float, float]:
    values = (np.array([p for p in points.values() if np.isfinite(p).all()]) - origin) @ direction
    return float(values.min()), float(values.max())


def _octagon(origin: np.ndarray, up: tuple, side: tuple) -> np.ndarray:
    """Octagon of two extents, each (direction, low, high)."""
    (u, u0, u1), (s, s0, s1) = up, side
    cut = _CUT * min(u1 - u0, s1 - s0)
    places = [
        *((u1, s0 + cut), (u1, s1 - cut), (u1 - cut, s1), (u0 + cut, s1)),
        *((u0, s1 - cut), (u0, s0 + cut), (u0 + cut, s0), (u1 - cut, s0)),
    ]
    return np.array([origin + a * u + b * s for a, b in places])
