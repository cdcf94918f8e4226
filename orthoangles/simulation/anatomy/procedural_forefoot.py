"""Metatarsals, phalanges and sesamoids of the procedural foot.

Millimetres, right foot, standing. The rays are laid out by hand for a hallux valgus angle of about 12 and an
intermetatarsal angle of about 9 degrees; lengths and widths are those of an average adult foot (inferred).
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from orthoangles.simulation.anatomy.implicit import Field, Solid, along, ellipsoid, loft, union


@dataclass(frozen=True)
class Metatarsal:
    """Centre of the base's joint surface and of the head; full widths and heights of base, shaft and head, mm."""

    base: tuple[float, float, float]
    head: tuple[float, float, float]
    base_size: tuple[float, float]
    shaft_size: tuple[float, float]
    head_size: tuple[float, float]


METATARSALS = {
    1: Metatarsal((-8.5, 58.0, -27.0), (-15.6, 106.0, -44.5), (18.0, 27.0), (12.5, 14.0), (20.5, 19.5)),
    2: Metatarsal((7.0, 51.0, -20.5), (8.0, 110.0, -50.0), (14.5, 20.0), (7.6, 9.5), (10.5, 15.5)),
    3: Metatarsal((17.5, 49.0, -26.0), (20.0, 106.0, -51.0), (13.5, 20.0), (7.2, 9.0), (10.3, 15.0)),
    4: Metatarsal((27.5, 44.5, -32.5), (31.8, 99.5, -51.8), (13.0, 17.5), (7.4, 8.8), (10.3, 14.5)),
    5: Metatarsal((36.5, 37.0, -40.5), (43.5, 90.0, -52.5), (14.0, 13.5), (8.8, 8.5), (11.0, 13.5)),
}

# Bone joints of each toe from the metatarsal head outwards, mm.
_TOES = {
    1: ((-15.8, 115.0, -46.3), (-13.8, 147.2, -51.0), (-12.2, 171.5, -55.0)),
    2: ((8.0, 115.0, -50.0), (9.8, 145.6, -47.5), (10.4, 160.2, -52.5), (10.8, 169.5, -57.0)),
    3: ((20.2, 111.0, -51.0), (22.8, 138.2, -48.8), (23.4, 150.2, -53.2), (23.7, 159.2, -57.5)),
    4: ((32.2, 104.0, -51.8), (35.2, 128.2, -50.0), (35.6, 138.2, -53.2), (35.6, 147.0, -57.5)),
    5: ((44.2, 94.2, -52.6), (46.8, 116.5, -51.5), (46.4, 124.8, -54.5), (45.6, 133.0, -58.0)),
}
# Full width and height of base, shaft and head, mm, by bone.
_PHALANX_SIZES = {
    "proximal_phalanx_1": ((19.5, 16.0), (12.0, 9.5), (16.5, 11.5)),
    "distal_phalanx_1": ((18.0, 10.5), (9.5, 7.0), (10.5, 6.0)),
    "proximal_phalanx_2": ((11.5, 11.0), (6.0, 6.3), (8.8, 7.4)),
    "proximal_phalanx_3": ((11.0, 10.5), (5.6, 6.0), (8.4, 7.0)),
    "proximal_phalanx_4": ((10.6, 10.0), (5.4, 5.8), (8.2, 6.8)),
    "proximal_phalanx_5": ((10.6, 9.5), (5.6, 5.4), (8.2, 6.4)),
    "middle": ((9.0, 7.2), (6.2, 5.2), (8.0, 6.0)),
    "distal": ((7.8, 5.8), (4.6, 4.2), (5.6, 3.8)),
}


def forefoot_solids() -> dict[str, Solid]:
    """The uncut bones by name, each in a box along its own axis."""
    solids = {f"metatarsal_{ray}": _metatarsal(ray, shape) for ray, shape in METATARSALS.items()}
    for ray, joints in _TOES.items():
        rows = ("proximal", "distal") if ray == 1 else ("proximal", "middle", "distal")
        for row, start, end in zip(rows, joints[:-1], joints[1:], strict=True):
            name = f"{row}_phalanx_{ray}"
            solids[name] = _phalanx(row, start, end, _PHALANX_SIZES.get(name) or _PHALANX_SIZES[row])
    solids["sesamoid_medial"] = _sesamoid((-21.0, 103.5, -57.0))
    solids["sesamoid_lateral"] = _sesamoid((-11.4, 104.5, -57.0))
    return solids


def _metatarsal(ray: int, shape: Metatarsal) -> Solid:
    base, head = np.asarray(shape.base), np.asarray(shape.head)
    length = float(np.linalg.norm(head - base))
    axes = along(base, head)
    (base_width, base_height), (shaft_width, shaft_height), (head_width, head_height) = (
        (w / 2, h / 2) for w, h in (shape.base_size, shape.shaft_size, shape.head_size)
    )
    neck = length - 0.75 * head_width - 2
    rod = loft(
        [
            (-6.0, base_width, base_height, 0, 0),
            (3.0, base_width, base_height, 0, 0),
            (0.22 * length, 0.75 * base_width + 0.25 * shaft_width, 0.5 * (base_height + shaft_height), 0, 0),
            (0.45 * length, shaft_width, shaft_height, 0, 0.8),
            (0.65 * length, shaft_width, shaft_height, 0, 1.2),
            (neck, 0.5 * (shaft_width + head_width), 0.62 * head_height, 0, 0.4),
            (length, 0.9 * head_width, 0.8 * head_height, 0, 0),
        ],
        base,
        axes,
        3.0,
    )
    parts: list[Field] = [
        rod,
        ellipsoid(head, (head_width, 0.95 * head_width + (0 if ray == 1 else 1.6), 0.95 * head_height), axes),
    ]
    for side in (-1, 1):
        # Plantar condyles, on the first ray the two grooves' outer walls.
        centre = head + axes @ (side * 0.52 * head_width, -1.2, -0.5 * head_height)
        parts.append(ellipsoid(centre, (0.42 * head_width, 0.7 * head_width, 0.48 * head_height), axes))
    solid = union(2.0, *parts)
    if ray == 5:
        styloid = ellipsoid(base + axes @ (7.0, -4.0, -1.5), (5.5, 13.0, 5.5), axes @ _yaw(-14))
        solid = union(5.0, solid, styloid)
    reach = max(base_width, head_width) + 4
    height = max(base_height, head_height) + 3
    low = np.array([-reach, -18.0 if ray == 5 else -8.0, -height])
    high = np.array([reach + (8 if ray == 5 else 0), length + head_width + 5, height])
    return Solid(solid, base, axes, low, high)


def _phalanx(row: str, start: Sequence[float], end: Sequence[float], sizes: Sequence[Sequence[float]]) -> Solid:
    origin, stop = np.asarray(start, dtype=float), np.asarray(end, dtype=float)
    length = float(np.linalg.norm(stop - origin))
    axes = along(origin, stop)
    (base_width, base_height), (shaft_width, shaft_height), (head_width, head_height) = (
        (w / 2, h / 2) for w, h in sizes
    )
    middle = 0.52 if row == "proximal" else 0.55
    stations = [
        (0.0, base_width, base_height, 0, 0),
        (0.14 * length, base_width, base_height, 0, 0),
        (middle * length, shaft_width, shaft_height, 0, 0.4),
        (length - 0.75 * head_width, head_width, head_height, 0, 0),
        (length, 0.85 * head_width, 0.8 * head_height, 0, 0),
    ]
    rod = loft(stations, origin, axes, min(0.9 * head_height, 3.0))
    reach = max(base_width, head_width) + 2
    height = max(base_height, head_height) + 2
    return Solid(rod, origin, axes, np.array([-reach, -2.0, -height]), np.array([reach, length + 2.0, height]))


def _sesamoid(centre: Sequence[float]) -> Solid:
    half = np.array([4.3, 5.8, 4.8])
    return Solid(ellipsoid(centre, half), np.asarray(centre, dtype=float), np.eye(3), -half - 1, half + 1)


def _yaw(degrees: float) -> np.ndarray:
    cosine, sine = np.cos(np.radians(degrees)), np.sin(np.radians(degrees))
    return np.array([[cosine, -sine, 0], [sine, cosine, 0], [0, 0, 1.0]])
