"""Deformities by name and degree, and how often each degree occurs.

Each name stands for one measurement of one protocol, so that a deformity set to 30 degrees is read as 30 degrees. What
is not named is drawn, from one of three distributions:

- ``clinic``: hallux valgus and intermetatarsal angle follow the 1,275 labelled feet of a hallux valgus clinic (public
  FeetFit axes: HVA 35.2 (SD 10.8), IMA 13.7 (3.8), r = 0.48), arch and hindfoot the planus-rich clinic of S1.
- ``population``: feet mostly without a deformity (means and spreads inferred from the normal ranges in METHODS).
- ``uniform``: all degrees alike, which is what a network learns the extremes from.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from orthoangles.errors import SimulationError


@dataclass(frozen=True)
class Deformity:
    """A named angle: the measurement it is, and the degrees (``low`` to ``high``) to which it can be set."""

    name: str
    protocol: str
    measurement: str
    low: float
    high: float
    meaning: str

    @property
    def key(self) -> str:
        """``protocol/measurement``."""
        return f"{self.protocol}/{self.measurement}"


DEFORMITIES: Mapping[str, Deformity] = {
    each.name: each
    for each in (
        Deformity(
            "hallux_valgus", "foot-ap-hallux", "hallux-valgus-angle", -10, 60, "hallux lateral of the first metatarsal"
        ),
        Deformity(
            "intermetatarsal", "foot-ap-hallux", "intermetatarsal-angle", 4, 25, "first metatarsal medial of the second"
        ),
        Deformity("calcaneal_pitch", "foot-lateral", "calcaneal-pitch", 0, 45, "low in planus, high in cavus"),
        Deformity("meary", "foot-lateral", "meary-angle", -25, 30, "positive in planus, negative in cavus"),
        Deformity(
            "forefoot_abduction", "foot-ap", "talonavicular-coverage", -10, 40, "navicular lateral on the talar head"
        ),
        Deformity("hindfoot", "foot-wbct", "hindfoot-angle", -15, 25, "positive in valgus, negative in varus"),
    )
}

DISTRIBUTIONS = ("uniform", "clinic", "population")
_CANDIDATES = 100


class _Normal(NamedTuple):
    mean: float
    sd: float


_HALLUX = {
    "clinic": (_Normal(35.2, 10.8), _Normal(13.7, 3.8), 0.48),
    "population": (_Normal(14.0, 6.0), _Normal(9.0, 2.2), 0.4),
}
"""HVA, IMA and their correlation; ``clinic`` measured on the public axes, ``population`` inferred."""

_ARCH = {
    "clinic": (_Normal(17.9, 5.0), _Normal(6.5, 8.0)),
    "population": (_Normal(21.0, 4.5), _Normal(1.0, 5.0)),
}
"""Calcaneal pitch and Meary's angle: means of ``clinic`` from S1 (17.9; 4.9 to 8.5), all spreads inferred."""

_ARCH_CORRELATION = -0.6
"""Pitch against Meary's angle, as METHODS assumes for S1."""


def draw_angles(
    rng: np.random.Generator, distribution: str, fixed: Mapping[str, float] | None = None
) -> dict[str, float]:
    """Degrees of every named deformity; those in ``fixed`` as given.

    Raises SimulationError for an unknown name or distribution, or a degree out of range.
    """
    fixed = checked_angles(fixed or {})
    if distribution not in DISTRIBUTIONS:
        raise SimulationError(f"distribution '{distribution}' is not known; there are {', '.join(DISTRIBUTIONS)}.")
    # Angles go together: of many feet, the one nearest to what was asked lends the rest.
    candidates = [_clipped(_draw(rng, distribution)) for _ in range(_CANDIDATES if fixed else 1)]
    nearest = min(candidates, key=lambda drawn: _difference(drawn, fixed))
    return nearest | fixed


def _draw(rng: np.random.Generator, distribution: str) -> dict[str, float]:
    return _uniform(rng) if distribution == "uniform" else _normal(rng, distribution)


def _clipped(drawn: Mapping[str, float]) -> dict[str, float]:
    return {name: float(np.clip(v, DEFORMITIES[name].low, DEFORMITIES[name].high)) for name, v in drawn.items()}


def _difference(drawn: Mapping[str, float], fixed: Mapping[str, float]) -> float:
    """Sum of squared differences in shares of each angle's range."""
    ranges = {name: DEFORMITIES[name].high - DEFORMITIES[name].low for name in fixed}
    return sum(((drawn[name] - degrees) / ranges[name]) ** 2 for name, degrees in fixed.items())


def checked_angles(angles: Mapping[str, float]) -> dict[str, float]:
    """The same angles as floats; SimulationError names what is unknown or out of range."""
    for name, degrees in angles.items():
        if name not in DEFORMITIES:
            raise SimulationError(f"angle '{name}' is not known; there are {', '.join(DEFORMITIES)}.")
        known = DEFORMITIES[name]
        if not known.low <= degrees <= known.high:
            raise SimulationError(f"{name} = {degrees:g} is out of range: {known.low:g} to {known.high:g} degrees.")
    return {name: float(degrees) for name, degrees in angles.items()}


def _normal(rng: np.random.Generator, distribution: str) -> dict[str, float]:
    valgus, between = _correlated(rng, *_HALLUX[distribution])
    pitch, meary = _correlated(rng, *_ARCH[distribution], _ARCH_CORRELATION)
    return {"hallux_valgus": valgus, "intermetatarsal": between, **_arch(rng, pitch, meary)}


def _correlated(rng: np.random.Generator, first: _Normal, second: _Normal, r: float) -> tuple[float, float]:
    a, b = rng.standard_normal(2)
    return first.mean + first.sd * a, second.mean + second.sd * (r * a + np.sqrt(1 - r * r) * b)


def _uniform(rng: np.random.Generator) -> dict[str, float]:
    valgus = rng.uniform(-10, 55)
    # The first ray drifts with the hallux; a wide foot with a straight hallux is rare, not absent.
    between = np.clip(rng.normal(7.5 + 0.16 * valgus, 3.0), 4, 24)
    arch = rng.uniform(-1, 1)
    pitch = 20 + 18 * arch + rng.normal(0, 3)
    meary = 2 - 18 * arch + rng.normal(0, 4)
    return {"hallux_valgus": valgus, "intermetatarsal": between, **_arch(rng, pitch, meary)}


def _arch(rng: np.random.Generator, pitch: float, meary: float) -> dict[str, float]:
    """A foot with a low arch turns out at the talonavicular joint and tips into valgus at the heel, and the reverse.

    The slopes and spreads are inferred.
    """
    coverage = np.clip(8 + 0.45 * (meary - 2) + rng.normal(0, 5), -10, 38)
    hindfoot = np.clip(4 + 0.22 * (meary - 2) + rng.normal(0, 3.5), -14, 22)
    return {"calcaneal_pitch": pitch, "meary": meary, "forefoot_abduction": coverage, "hindfoot": hindfoot}


def joint_bias(rng: np.random.Generator, angles: Mapping[str, float]) -> dict[str, tuple[float, float, float]]:
    """Where each joint would rather be, in degrees about its flexion, abduction and rotation axis (name -> three).

    The lesser toes follow the hallux, each a little less; the first metatarsal pronates as the hallux goes (Okuda 2007
    and others describe it; the slopes are inferred). The rest is chance, small where joints are stiff.
    """
    from orthoangles.simulation.anatomy.joints import JOINTS

    drift = angles["hallux_valgus"] - 12
    bias = {joint.name: rng.normal(0, 0.12, 3) * joint.ranges for joint in JOINTS}
    bias["tarsometatarsal_1"] += (0, 0, -0.2 * drift)
    bias["metatarsophalangeal_1"] += (8, 0, -0.25 * drift)
    for ray, share in zip(range(2, 6), (0.42, 0.3, 0.2, 0.1), strict=True):
        lateral = -share * max(drift, 0) + rng.normal(0, 2)
        bias[f"metatarsophalangeal_{ray}"] = np.array([rng.normal(4, 6), lateral, 0])
        bend = abs(rng.normal(0, 8))
        bias[f"proximal_interphalangeal_{ray}"] = np.array([-bend, 0, 0])
    return {name: tuple(float(round(v, 3)) for v in turns) for name, turns in bias.items()}
