"""How a radiograph was taken and shown: every number of it in one place, drawn at random or plain.

Ranges were set by eye against real radiographs (tools/compare_radiographs.py puts both side by side): inferred, except
where a line says otherwise.
"""

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from orthoangles.simulation.radiography.materials import TRABECULAR_SHARE


@dataclass(frozen=True)
class RadiographStyle:
    """One radiograph; the defaults are the ``plain`` style: no noise, no furniture, the whole range of grey.

    Physics: ``kilovolt``; ``photons`` detected per pixel in the open beam (0: no noise); ``scatter`` share of what is
    taken from the beam; ``blur`` mm (detector and focal spot, sigma); ``heel`` (column, row) slope of the beam over
    the image; ``trabecular_share`` of bone in its trabecular inside; ``trabecular_contrast``; ``fat`` share of the
    flesh and its ``fat_patches``; ``plate`` under a lateral foot ("", "wood", "acrylic"), its ``plate_thickness`` in
    mm, the share ``plate_density`` of it that is not hollow, and its ``plate_cover`` in mm; ``other_foot`` mm beside
    the foot or None; ``screws`` of metal in the first ray; ``clothes`` strength of folds of cloth about the leg.

    Display: ``compression`` 0..1 of what is wider than ``compression_mm``; ``detail`` gain of what is finer than
    ``detail_mm``; window from quantile ``low`` to ``high`` of the foot, lengthened downward by the share ``floor``;
    ``window_shift`` of both, in window widths (+ darker); ``gamma``; ``shoulder``; ``black`` and ``white`` level of the
    picture; ``inverted``.

    Furniture: ``collimation`` "", "black", "white" or "grey" outside of the field, ``field`` (left, top, right, bottom)
    as shares of the image, ``field_angle`` degrees; ``marker`` letter shown; ``text`` burnt in; ``ball`` a round lead
    marker; ``cassette`` bright rim of the cassette.

    Film: ``grain`` (share of the range), ``scratches`` count, ``fog`` added light.
    """

    kilovolt: float = 55.0
    photons: float = 0.0
    scatter: float = 0.0
    blur: float = 0.0
    heel: tuple[float, float] = (0.0, 0.0)
    trabecular_share: float = 0.20
    trabecular_contrast: float = 0.0
    fat: float = 0.3
    fat_patches: float = 0.0
    plate: str = ""
    plate_thickness: float = 30.0
    plate_density: float = 0.4
    plate_cover: float = 0.0
    other_foot: float | None = None
    screws: int = 0
    clothes: float = 0.0
    compression: float = 0.0
    compression_mm: float = 12.0
    detail: float = 0.0
    detail_mm: float = 1.0
    low: float = 0.02
    high: float = 0.995
    floor: float = 0.0
    window_shift: float = 0.0
    gamma: float = 1.0
    shoulder: bool = False
    black: float = 0.0
    white: float = 1.0
    inverted: bool = False
    collimation: str = ""
    field: tuple[float, float, float, float] = (0.0, 0.0, 1.0, 1.0)
    field_angle: float = 0.0
    marker: bool = False
    text: str = ""
    ball: bool = False
    cassette: bool = False
    grain: float = 0.0
    scratches: int = 0
    fog: float = 0.0

    def as_json(self) -> dict[str, Any]:
        """All values as JSON types."""
        return {name: list(value) if isinstance(value, tuple) else value for name, value in asdict(self).items()}


_TEXTS = ("WEIGHT BEARING", "WB", "STANDING", "FOOT", "ERECT", "STD", "{}", "FOOT {}", "FOOT {} WB")


def random_style(rng: np.random.Generator, view: str) -> RadiographStyle:
    """A style as clinics have them: nine in ten digital with a vendor's processing, one in ten like old film."""
    film = rng.random() < 0.1
    style = {**_physics(rng, view), **(_film(rng) if film else _digital(rng)), **_furniture(rng, view)}
    if rng.random() < 0.12:
        # Over- and underexposed or badly windowed.
        style["window_shift"] = float(rng.choice([-1, 1]) * rng.uniform(0.1, 0.3))
        style["photons"] *= float(rng.choice([0.3, 1.0, 2.0]))
    style["inverted"] = bool(rng.random() < 0.07)
    return RadiographStyle(**style)


def _physics(rng: np.random.Generator, view: str) -> dict[str, Any]:
    lateral = view == "lateral"
    return {
        "kilovolt": float(rng.uniform(48, 65)),
        "photons": float(np.exp(rng.uniform(np.log(1e4), np.log(3e5)))),
        "scatter": float(rng.uniform(0.05, 0.35)),
        "blur": float(np.clip(np.exp(rng.normal(np.log(0.36 if lateral else 0.24), 0.4)), 0.08, 0.8)),
        "heel": (float(rng.normal(0, 0.06)), float(rng.normal(0, 0.06))),
        "trabecular_share": float(rng.uniform(*TRABECULAR_SHARE)),
        "trabecular_contrast": float(rng.triangular(0.02, 0.05, 0.13)),
        "fat": float(rng.uniform(0.15, 0.55)),
        "fat_patches": float(rng.uniform(0.05, 0.25)),
        "plate": str(rng.choice(["wood", "acrylic", ""], p=[0.6, 0.32, 0.08])) if lateral else "",
        "plate_thickness": float(rng.uniform(8, 60)),
        "plate_density": float(rng.uniform(0.3, 0.85)),
        "plate_cover": float(rng.choice([0.0, rng.uniform(1.0, 4.0)])),
        "other_foot": float(rng.uniform(15, 70)) if not lateral and rng.random() < 0.3 else None,
        "screws": int(rng.integers(1, 4)) if rng.random() < 0.05 else 0,
        "clothes": float(rng.uniform(0.03, 0.12)) if lateral and rng.random() < 0.3 else 0.0,
    }


def _digital(rng: np.random.Generator) -> dict[str, Any]:
    return {
        "compression": float(rng.triangular(0.0, 0.4, 0.75)),
        "compression_mm": float(rng.uniform(10, 40)),
        "detail": float(rng.triangular(0.0, 0.1, 1.5)),
        "detail_mm": float(rng.uniform(0.5, 4.0)),
        "low": float(rng.uniform(0.0, 0.08)),
        "floor": float(rng.uniform(0.0, 0.35)),
        "high": float(rng.uniform(0.985, 0.9995)),
        "gamma": float(rng.uniform(0.75, 1.35)),
        "shoulder": bool(rng.random() < 0.5),
        "black": float(rng.choice([0.0, rng.uniform(0.02, 0.18)], p=[0.4, 0.6])),
        "white": float(rng.uniform(0.85, 1.0)),
    }


def _film(rng: np.random.Generator) -> dict[str, Any]:
    return {
        "low": float(rng.uniform(0.0, 0.05)),
        "high": float(rng.uniform(0.99, 0.9999)),
        "gamma": float(rng.uniform(0.8, 1.2)),
        "shoulder": True,
        "black": float(rng.uniform(0.05, 0.2)),
        "white": float(rng.uniform(0.75, 0.95)),
        "grain": float(rng.uniform(0.015, 0.05)),
        "scratches": int(rng.integers(0, 12)),
        "fog": float(rng.uniform(0.0, 0.12)),
        "cassette": bool(rng.random() < 0.3),
    }


def _furniture(rng: np.random.Generator, view: str) -> dict[str, Any]:
    margin = np.where(rng.random(4) < 0.55, rng.uniform(0.0, 0.09, 4), -0.2)
    return {
        "collimation": str(rng.choice(["", "black", "white", "grey"], p=[0.56, 0.36, 0.03, 0.05])),
        "field": (float(margin[0]), float(margin[1]), float(1 - margin[2]), float(1 - margin[3])),
        "field_angle": float(rng.choice([0.0, rng.normal(0, 2.0)])),
        "marker": bool(rng.random() < 0.45),
        "text": str(rng.choice(_TEXTS)).format("LAT" if view == "lateral" else "AP") if rng.random() < 0.12 else "",
        "ball": bool(rng.random() < (0.12 if view == "lateral" else 0.05)),
    }
