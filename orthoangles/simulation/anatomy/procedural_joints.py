"""Where the bones of the procedural foot meet, and the cuts that part them.

Round joints are cut to the partner's own surface (talar dome and head, metatarsal heads); the flat joints of the
midfoot and the sides of the metatarsal bases are gently curved boundaries between two blocks.
"""

from collections.abc import Mapping

import numpy as np

from orthoangles.simulation.anatomy.implicit import Field, along, before, boundary, opposite, without
from orthoangles.simulation.anatomy.procedural_forefoot import METATARSALS

# Widths of the joint spaces in mm: 1 to 3 mm on radiographs of adult feet (inferred).
ANKLE_GAP = 2.2
SUBTALAR_GAP = 1.7
TALONAVICULAR_GAP = 1.7
MIDFOOT_GAP = 1.5
SIDE_GAP = 1.3
TOE_GAP = 1.6
SESAMOID_GAP = 1.3

# (bone, the partners it is cut to, joint space).
MOULDED: tuple[tuple[str, tuple[str, ...], float], ...] = (
    ("talus", ("calcaneus",), SUBTALAR_GAP),
    ("tibia", ("talus",), ANKLE_GAP),
    ("fibula", ("talus", "tibia", "calcaneus"), ANKLE_GAP),
    ("navicular", ("talus", "calcaneus"), TALONAVICULAR_GAP),
    ("cuboid", ("navicular",), MIDFOOT_GAP),
    ("sesamoid_medial", ("metatarsal_1",), SESAMOID_GAP),
    ("sesamoid_lateral", ("metatarsal_1",), SESAMOID_GAP),
    *((f"proximal_phalanx_{ray}", (f"metatarsal_{ray}",), TOE_GAP) for ray in range(1, 6)),
    ("distal_phalanx_1", ("proximal_phalanx_1",), TOE_GAP),
    *((f"middle_phalanx_{ray}", (f"proximal_phalanx_{ray}",), TOE_GAP) for ray in range(2, 6)),
    *((f"distal_phalanx_{ray}", (f"middle_phalanx_{ray}",), TOE_GAP) for ray in range(2, 6)),
)


def cut_joints(fields: Mapping[str, Field]) -> dict[str, Field]:
    """The bones' fields after every joint is cut; ``fields`` are the uncut ones, by bone name."""
    flat = dict(fields)
    for firsts, seconds, border, gap in _boundaries():
        for name in firsts:
            flat[name] = before(flat[name], border, gap / 2)
        for name in seconds:
            flat[name] = before(flat[name], opposite(border), gap / 2)
    done = dict(flat)
    for name, partners, gap in MOULDED:
        done[name] = without(flat[name], [flat[partner] for partner in partners], gap)
    return done


def _boundaries() -> list[tuple[tuple[str, ...], tuple[str, ...], Field, float]]:
    """(bones before the boundary, bones beyond it, the boundary, joint space)."""
    axis = {ray: np.subtract(shape.head, shape.base) for ray, shape in METATARSALS.items()}
    base = {ray: np.asarray(shape.base) for ray, shape in METATARSALS.items()}
    cuneiforms = ("medial_cuneiform", "intermediate_cuneiform", "lateral_cuneiform")
    return [
        (("calcaneus",), ("cuboid",), boundary((16, 21, -33), (0.12, 0.97, -0.15), -0.012), MIDFOOT_GAP),
        (("navicular",), cuneiforms, boundary((-2, 39.3, -19.0), (0.02, 0.93, -0.36), 0.022), MIDFOOT_GAP),
        (
            ("medial_cuneiform",),
            ("intermediate_cuneiform", "metatarsal_2"),
            boundary((0.0, 47, -19), (1, 0.073, 0.2)),
            SIDE_GAP,
        ),
        (
            ("intermediate_cuneiform", "metatarsal_2"),
            ("lateral_cuneiform",),
            boundary((12.0, 46, -19), (1, -0.15, -0.2)),
            SIDE_GAP,
        ),
        (("lateral_cuneiform",), ("cuboid",), boundary((22.0, 41, -24), (1, 0.05, -0.42)), SIDE_GAP),
        (("medial_cuneiform",), ("metatarsal_1",), boundary(base[1], axis[1], 0.006), MIDFOOT_GAP),
        (("intermediate_cuneiform",), ("metatarsal_2",), boundary(base[2], axis[2]), MIDFOOT_GAP),
        (("lateral_cuneiform",), ("metatarsal_3",), boundary(base[3], axis[3] + (6, 0, 0)), MIDFOOT_GAP),
        (("cuboid",), ("metatarsal_4",), boundary(base[4], axis[4] + (6, 0, 0)), MIDFOOT_GAP),
        (("cuboid",), ("metatarsal_5",), boundary((34, 37, -40), axis[5] + (38, 0, 0)), MIDFOOT_GAP),
        (("metatarsal_1",), ("metatarsal_2",), _between(1, 2, 0.0, 0.6), 2 * SIDE_GAP),
        (("metatarsal_2",), ("metatarsal_3",), _between(2, 3, 12.0, 0.0), SIDE_GAP),
        (("metatarsal_3",), ("metatarsal_4",), _between(3, 4, 16.0, 0.0), SIDE_GAP),
        (("metatarsal_4",), ("metatarsal_5",), _between(4, 5, 18.0, 0.0), SIDE_GAP),
    ]


def _between(medial: int, lateral: int, roll: float, shift: float) -> Field:
    """Plane along two neighbouring metatarsals, leaning ``roll`` degrees about them as the transverse arch does."""
    first, second = METATARSALS[medial], METATARSALS[lateral]
    start, end = np.add(first.base, second.base) / 2, np.add(first.head, second.head) / 2
    across, _, up = along(start, end).T
    angle = np.radians(roll)
    return boundary(start + shift * across, np.cos(angle) * across - np.sin(angle) * up)
