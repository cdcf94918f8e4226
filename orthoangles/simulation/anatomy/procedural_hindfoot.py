"""Leg and tarsal bones of the procedural foot: talus, calcaneus, navicular, cuboid, cuneiforms, tibia, fibula.

Millimetres, right foot, standing: +x lateral, +y anterior, +z up, origin near the centre of the talus. The sizes are
those of an adult foot of average length rounded to about a millimetre (anatomical proportions, inferred).
"""

import numpy as np

from orthoangles.simulation.anatomy.implicit import (
    Field,
    Solid,
    along,
    box,
    cone,
    ellipsoid,
    loft,
    smooth_minimum,
    turned,
    union,
    without,
)

DOME_CENTRE = np.array([0.5, -5.0, -1.5])
DOME_RADIUS = 20.5
TALAR_DECLINATION = 9.5
"""Turn of the talus about its dome in degrees: it declines 20 to 25 degrees when the foot bears weight (inferred)."""


def hindfoot_fields() -> dict[str, Field]:
    """The uncut bones by name: neighbours overlap until they are cut to each other."""
    return {
        "calcaneus": _calcaneus(),
        "talus": _talus(),
        "tibia": _tibia(),
        "fibula": _fibula(),
        "navicular": _navicular(),
        "cuboid": _cuboid(),
        "medial_cuneiform": _medial_cuneiform(),
        "intermediate_cuneiform": _intermediate_cuneiform(),
        "lateral_cuneiform": _lateral_cuneiform(),
    }


def _calcaneus() -> Field:
    tuberosity = box((9.5, -38, -42.5), (13, 14.5, 18.5), 9, turned(x=14, y=4))
    medial_tubercle = ellipsoid((4.5, -40, -53), (9, 11, 7))
    lateral_tubercle = ellipsoid((16, -37, -53), (5.5, 8, 6))
    body = box((11.5, -17, -35), (12.5, 27, 15), 9, turned(x=13, z=-4))
    front = box((15.5, 8, -33.5), (11.5, 15, 11), 6, turned(x=13, z=-5))
    front_tip = ellipsoid((11.5, 14, -25), (6.5, 7, 5), turned(x=15))
    facet = ellipsoid((10, -10, -25.5), (14.5, 14, 13.5), turned(x=-22, z=20))
    shelf = ellipsoid((-6, 2, -27.5), (12, 11, 6.5), turned(y=-8, z=-8))
    solid = union(6, tuberosity, medial_tubercle, lateral_tubercle, body, front)
    solid = union(5, solid, facet, shelf, front_tip)
    groove = cone((26, 10, -21), (-2, -6, -17.5), 7.5, 4.0)
    hollow = ellipsoid((-14, -19, -38), (12, 20, 9), turned(x=14))
    return without(solid, [groove, hollow], 0.0, 5.0)


def _talus() -> Field:
    axes = turned(x=-TALAR_DECLINATION)

    def placed(x: float, y: float, z: float) -> np.ndarray:
        return DOME_CENTRE + axes @ (np.array([x, y, z]) - DOME_CENTRE)

    def body(points: np.ndarray) -> np.ndarray:
        local = points - DOME_CENTRE
        # The pulley: two ridges with a shallow groove between, wider in front.
        radius = DOME_RADIUS - 1.2 * np.exp(-((local[:, 0] / 6.5) ** 2))
        round_part = np.hypot(local[:, 1], local[:, 2]) - radius
        turned_back = local @ axes
        # The lateral wall flares out towards the lateral process.
        flare = 0.018 * np.maximum(6.0 - turned_back[:, 2], 0) ** 2 * (local[:, 0] > 0)
        sides = np.abs(local[:, 0]) - (14.8 + 0.07 * turned_back[:, 1] + flare)
        floor = -turned_back[:, 2] - 11.0
        front = turned_back[:, 1] - 15.0
        solid = -smooth_minimum(-round_part, -sides, 3.5)
        solid = -smooth_minimum(-solid, -floor, 5.0)
        return -smooth_minimum(-solid, -front, 6.0)

    lateral_process = cone(placed(10, -4, -4), placed(19, -3, -10.5), 9, 5)
    posterior_process = ellipsoid(placed(-1, -19, -8.5), (13.0, 11.5, 7.5), axes @ turned(z=-12))
    neck = cone(placed(0, 6, -3.5), placed(-5.5, 16, -6), 12.0, 9.8)
    head = ellipsoid(placed(-6.0, 20.0, -7.0), (14.0, 11.5, 11.0), axes @ turned(y=-25, z=9))
    solid = union(6, body, lateral_process, posterior_process)
    return union(5, solid, neck, head)


_UPRIGHT = np.column_stack([(1.0, 0, 0), (0, 0, 1.0), (0, -1.0, 0)])
"""Frame of a rod that goes up: its second axis is +z, its third points backward."""


def _tibia() -> Field:
    shaft = loft(
        [
            (11.5, 21.5, 18, 0, 0),
            (26, 22, 18.5, 0, 0),
            (36, 20, 18, 0, 0),
            (50, 15.5, 16, -1, 0.5),
            (75, 12, 13.5, -2, 1),
            (132, 12, 14.5, -3, 0),
        ],
        (0.5, -5, 0),
        _UPRIGHT,
        4.0,
    )
    malleolus = cone((-18.5, -3, 27), (-21.8, -2, 7.0), 11, 6)
    notch = cone((27, -16, 5), (25, -19, 75), 7.5, 6)
    # Beside the talus the fibula takes the place of the plafond.
    below = box((31, -5, 6), (16.5, 40, 15.5), 3)
    return without(union(5, shaft, malleolus), [notch, below], 0.0, 4.0)


def _fibula() -> Field:
    return loft(
        [
            (-11, 4, 6, -2, 1),
            (-5, 6, 8.5, -1, 0),
            (8, 7.5, 10.5, 0, 0),
            (22, 7, 9.5, 0, 1),
            (45, 6, 7, -1, 3),
            (132, 6, 7, -3, 6),
        ],
        (24.5, -13, 0),
        _UPRIGHT,
        4.0,
    )


def _navicular() -> Field:
    body = ellipsoid((-5.5, 33, -17), (19.0, 13, 13.2), turned(x=-19, y=-14, z=18))
    tuberosity = ellipsoid((-21, 27.0, -23.5), (7.5, 8.5, 7))
    return union(6, body, tuberosity)


def _cuboid() -> Field:
    body = box((25.5, 31, -34.5), (13.0, 18, 12), 7, turned(x=-6, y=20, z=-12))
    ridge = cone((16, 30, -44), (32, 34, -44), 4.5, 3.5)
    return union(4, body, ridge)


def _medial_cuneiform() -> Field:
    axes = along((0, 0, 0), (-4.5, 48, -17))
    body = box((-7.5, 49, -26.5), (9.5, 18, 15), 6, axes)
    plantar = ellipsoid((-8.5, 49, -36.5), (9, 12, 6.5), axes)
    return union(5, body, plantar)


def _intermediate_cuneiform() -> Field:
    return box((5.5, 45, -18.5), (9, 12, 10.5), 4, along((0, 0, 0), (0, 50, -18)))


def _lateral_cuneiform() -> Field:
    return box((15.5, 43, -24), (9.5, 15, 12.5), 4.5, along((0, 0, 0), (0, 50, -18)))


HINDFOOT_BOXES = {
    "calcaneus": ((-22, -60, -66), (32, 28, -8)),
    "talus": ((-28, -40, -34), (32, 38, 24)),
    "tibia": ((-32, -30, -4), (28, 20, 130)),
    "fibula": ((10, -34, -16), (38, 4, 130)),
    "navicular": ((-34, 12, -38), (18, 50, 4)),
    "cuboid": ((6, 8, -54), (46, 54, -16)),
    "medial_cuneiform": ((-24, 28, -50), (10, 68, -4)),
    "intermediate_cuneiform": ((-6, 32, -34), (18, 58, -2)),
    "lateral_cuneiform": ((4, 26, -42), (28, 58, -6)),
}
"""Corners of a box round each bone, mm."""


def hindfoot_solid(name: str, field: Field) -> Solid:
    """The solid of a leg or tarsal bone, in its box."""
    low, high = HINDFOOT_BOXES[name]
    return Solid(field, np.zeros(3), np.eye(3), np.asarray(low, dtype=float), np.asarray(high, dtype=float))
