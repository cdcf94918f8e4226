"""Hand-built landmarks of feet whose angles are known exactly, and tables of the angles by plain trigonometry."""

import numpy as np

from orthoangles.protocols import load_protocol

RIGHT_LPS = np.array([-1.0, -1.0, 1.0])
"""From a right foot's own frame (x lateral, y distal, z dorsal) to LPS of a patient who faces the scanner's front."""


def heading(degrees: float) -> np.ndarray:
    """(2,) unit vector, x lateral and y distal, turned laterally from distal by ``degrees``."""
    return np.array([np.sin(np.radians(degrees)), np.cos(np.radians(degrees))])


def rising(degrees: float) -> np.ndarray:
    """(2,) unit vector, x distal and y dorsal, rising distally by ``degrees``."""
    return np.array([np.cos(np.radians(degrees)), np.sin(np.radians(degrees))])


def hallux_foot(hva: float, ima: float, metatarsal: float = -6.0) -> dict[str, np.ndarray]:
    """Points (2,) mm, x lateral and y distal, of ``foot-ap-hallux``; ``metatarsal``: heading of the first one."""
    places = {
        "MT1": (np.array([0.0, 0.0]), heading(metatarsal), 60.0),
        "PP1": (np.array([-9.0, 66.0]), heading(metatarsal + hva), 28.0),
        "MT2": (np.array([16.0, 4.0]), heading(metatarsal + ima), 70.0),
    }
    parts = (0.2, 0.35, 0.5, 0.65, 0.8)
    return {
        f"{bone}-{i}": start + part * length * along
        for bone, (start, along, length) in places.items()
        for i, part in enumerate(parts, 1)
    }


def _across(points: dict, first: str, second: str, middle: np.ndarray, along: np.ndarray, half: float) -> None:
    """Two points on either side of ``middle``, the second 90 degrees clockwise from ``along``: lateral, or plantar."""
    aside = half * np.array([along[1], -along[0]])
    points[first], points[second] = middle - aside, middle + aside


def ap_foot(*, hva: float, talocalcaneal: float, coverage: float, mt1_talar: float, talus: float = -14.0) -> dict:
    """Points (2,) mm, x lateral and y distal, of ``foot-ap``; ``talus``: its heading."""
    points: dict[str, np.ndarray] = {}
    metatarsal = talus - mt1_talar
    mt1, pp1, neck = heading(metatarsal), heading(metatarsal + hva), np.array([0.0, -60.0])
    _across(points, "A13", "A14", neck, heading(talus), 12.0)
    _across(points, "A9", "A10", neck + 16 * heading(talus), heading(talus), 14.0)
    _across(points, "A11", "A12", neck + 19 * heading(talus), heading(talus + coverage), 15.0)
    _across(points, "A6", "A8", np.array([0.0, 0.0]), mt1, 9.0)
    _across(points, "A5", "A7", 45 * mt1, mt1, 8.0)
    _across(points, "A2", "A4", 62 * mt1, pp1, 7.0)
    _across(points, "A1", "A3", 62 * mt1 + 18 * pp1, pp1, 6.0)
    points["A16"] = np.array([14.0, -110.0])
    points["A15"] = points["A16"] + 40 * heading(talus + talocalcaneal)
    return points


def lateral_foot(*, meary: float, pitch: float, talus: float = -20.0, ground: float = 0.0) -> dict[str, np.ndarray]:
    """Points (2,) mm, x distal and y dorsal, of ``foot-lateral``.

    ``talus``: how its axis rises distally; ``ground``: how the line from heel to fifth metatarsal head rises.
    """
    points: dict[str, np.ndarray] = {}
    body = np.array([45.0, 70.0])
    head = body + 32 * rising(talus)
    metatarsal = rising(talus + meary)
    base = np.array([105.0, 40.0])
    _across(points, "L8", "L9", body, rising(talus), 14.0)
    _across(points, "L5", "L6", head, rising(talus), 11.0)
    _across(points, "L3", "L4", base, metatarsal, 12.0)
    _across(points, "L1", "L2", base + 42 * metatarsal, metatarsal, 7.0)
    points["L11"] = np.array([8.0, 9.0])
    points["L10"] = points["L11"] + 58 * rising(pitch)
    points["L7"] = points["L11"] + 140 * rising(ground)
    return points


STANDING = {
    "T1": (-2, -45, 180), "T2": (0, -45, 92), "TA1": (1, -44, 90), "TA2": (2, -62, 76), "TA3": (-9, -16, 66),
    "TA4": (-22, -14, 62), "TA5": (4, -20, 68), "N1": (-24, -6, 56), "N2": (5, -11, 63), "C1": (0, -95, 10),
    "C2": (9, -30, 27), "C3": (3, -92, 52), "C4": (6, -56, 64), "C5": (12, -30, 56), "C6": (9, -42, 48),
    "M1a": (-20, 24, 42), "M1b": (-26, 82, 22), "M2a": (-6, 26, 46), "M2b": (0, 96, 20), "P1": (-25, 94, 18),
    "P2": (-20, 120, 14), "M5": (38, 66, 7),
}  # fmt: skip
"""A right foot on the ground, mm: x lateral, y distal (heel to second metatarsal head), z dorsal."""


def standing_foot(rng: np.random.Generator | None = None, spread: float = 4.0) -> dict[str, np.ndarray]:
    """Points (3,) of ``foot-wbct``, each moved by ``spread`` mm where ``rng`` is given; the foot's axis stays y."""
    points = {name: np.array(place, dtype=float) for name, place in STANDING.items()}
    if rng is not None:
        points = {name: place + rng.normal(scale=spread, size=3) for name, place in points.items()}
        points["C1"][0] = points["M2b"][0] = 0.0
    return points


def standing_angles(points: dict[str, np.ndarray]) -> dict[str, float]:
    """Every measurement of ``foot-wbct`` in degrees (offset in percent), by arctangents in the foot's own frame."""

    def along(start: str, end: str) -> np.ndarray:
        return points[end] - points[start]

    def outward(v: np.ndarray) -> float:  # turned laterally, seen from above
        return float(np.degrees(np.arctan2(v[0], v[1])))

    def upward(v: np.ndarray) -> float:  # rising distally, seen from the side
        return float(np.degrees(np.arctan2(v[2], v[1])))

    def below(v: np.ndarray) -> float:  # turned laterally from straight down, seen from behind
        return float(np.degrees(np.arctan2(v[0], -v[2])))

    def space(u: np.ndarray, v: np.ndarray) -> float:
        return float(np.degrees(np.arccos(u @ v / np.linalg.norm(u) / np.linalg.norm(v))))

    tibia, heel, talus, calcaneus = along("T1", "T2"), along("TA1", "C1"), along("TA2", "TA3"), along("C1", "C2")
    mt1, mt2, toe = along("M1a", "M1b"), along("M2a", "M2b"), along("P1", "P2")
    head, navicular = along("TA4", "TA5"), along("N1", "N2")
    back, front, facet, process = along("C3", "C4"), along("C4", "C5"), along("C6", "C4"), along("C6", "C5")
    middle = (points["M1b"] + points["M5"]) / 2 - points["C1"]
    dome = points["TA1"] - points["C1"]
    return {
        "hindfoot-angle": below(heel) - below(tibia),
        "hindfoot-angle-3d": space(heel, tibia),
        "boehler-angle": upward(back) - upward(front),
        "boehler-angle-3d": space(back, front),
        "gissane-angle": upward(facet) - upward(process),
        "gissane-angle-3d": space(facet, process),
        "calcaneal-pitch": upward(calcaneus),
        "calcaneal-pitch-3d": float(np.degrees(np.arcsin(calcaneus[2] / np.linalg.norm(calcaneus)))),
        "talocalcaneal-angle-sagittal": upward(calcaneus) - upward(talus),
        "talocalcaneal-angle-axial": outward(calcaneus) - outward(talus),
        "talocalcaneal-angle-3d": space(talus, calcaneus),
        "meary-angle": upward(mt1) - upward(talus),
        "mt1-talar-angle-axial": outward(talus) - outward(mt1),
        "mt1-talar-angle-3d": space(talus, mt1),
        "talonavicular-coverage": outward(navicular) - outward(head),
        "talonavicular-coverage-3d": space(head, navicular),
        "hallux-valgus-angle": outward(toe) - outward(mt1),
        "hallux-valgus-angle-3d": space(mt1, toe),
        "intermetatarsal-angle": outward(mt2) - outward(mt1),
        "intermetatarsal-angle-3d": space(mt1, mt2),
        "foot-ankle-offset": 100 * float(middle[0] * dome[1] - middle[1] * dome[0]) / float(middle[:2] @ middle[:2]),
    }


def ordered(protocol_id: str, points: dict[str, np.ndarray]) -> np.ndarray:
    """(n, 2) or (n, 3) in the order of the protocol; NaN where a landmark is not among ``points``."""
    width = load_protocol(protocol_id).dimension
    return np.array([points.get(name, np.full(width, np.nan)) for name in load_protocol(protocol_id).landmark_ids])


def on_film(plane: np.ndarray, *, mirrored: bool = False, turned: float = 0.0) -> np.ndarray:
    """(n, 3) LPS of an image at the origin, x right and y down, from (n, 2) points with y up; mirrored, then turned."""
    x, y = plane[:, 0] * (-1.0 if mirrored else 1.0), -plane[:, 1]
    c, s = np.cos(np.radians(turned)), np.sin(np.radians(turned))
    return np.column_stack([170.0 + c * x - s * y, 240.0 + s * x + c * y, np.zeros(len(plane))])
