"""Feet of other shapes: size, proportions of each bone, and a smooth random deformation that respects the joints.

Neighbouring bones must keep their joint spaces, so nothing is drawn for a bone alone that its neighbours do not
learn of: where one bone grows, the next is moved along, and what bends one end of a joint bends the other::

    varied, drawn = vary_shape(foot, np.random.default_rng(3))
    child = scaled(varied, 0.7)
"""

from typing import Any

import numpy as np

from orthoangles.errors import SimulationError
from orthoangles.simulation.anatomy.bones import Bone, BoneSet
from orthoangles.simulation.anatomy.congruity import Congruity
from orthoangles.simulation.anatomy.smoothing import deformed

SCALE_SD = 0.04
"""Standard deviation of a bone's length, width and height among feet of one size (inferred). It stays below the
0.08 measured over tarsals and metatarsals of five people, each divided by the heel to second metatarsal length:
blending of persons adds to it."""
SHARED_AMPLITUDE, SHARED_WAVELENGTHS = 1.0, (80.0, 200.0)
"""Deformation of the whole foot: RMS length in mm and shortest and longest wavelength in mm (inferred)."""
OWN_AMPLITUDE, OWN_WAVELENGTH = 0.35, 0.9
"""Deformation of each bone alone: RMS length in mm, wavelength in shares of the bone's own length (inferred)."""

_WAVES = 24
_LIMIT = 2.5
"""No draw lies further out than this many standard deviations."""


def scaled(bones: BoneSet, factor: float) -> BoneSet:
    """The whole foot ``factor`` times as large, about the origin. Raises SimulationError unless it is positive."""
    if not (np.isfinite(factor) and factor > 0):
        raise SimulationError(f"{bones.id}: cannot be scaled by {factor}; give a positive number.")
    return bones.with_bones({name: bone.with_vertices(bone.vertices * factor) for name, bone in bones.items()})


def vary_shape(
    bones: BoneSet, rng: np.random.Generator, *, amount: float = 1.0, joints: Congruity | None = None
) -> tuple[BoneSet, dict[str, Any]]:
    """A foot like ``bones`` of another shape, and what was drawn (JSON types).

    Every bone is scaled along its own principal axes, all bones share a deformation of long waves, and each has a
    small one of its own. ``amount`` multiplies all three; 0 gives the same foot. ``joints``: those of this foot, or of
    the one it was blended from, where they are known already. Faces stay, closed and outward.
    Raises SimulationError for a negative amount, or where a bone would fold over.
    """
    if not (np.isfinite(amount) and amount >= 0):
        raise SimulationError(f"{bones.id}: amount {amount} must be 0 or more.")
    size = SCALE_SD * amount
    scales = {name: np.exp(size * _draw(rng, 3)) for name in bones}
    shared = _Waves(rng, SHARED_WAVELENGTHS, SHARED_AMPLITUDE * amount)
    own = {name: _Waves(rng, _own_wavelengths(bone), OWN_AMPLITUDE * amount) for name, bone in bones.items()}
    alone = {name: _stretched(bone, scales[name]) + own[name](bone.vertices) for name, bone in bones.items()}
    joined = (joints or Congruity(bones)).joined(alone)
    moves = {name: joined[name] + shared(bone.vertices) for name, bone in bones.items()}
    varied = {name: deformed(bone, moves[name]) for name, bone in bones.items()}
    longest = max(float(np.linalg.norm(move, axis=1).max()) for move in moves.values())
    drawn = {
        "amount": float(amount),
        "bone_scale": {name: [round(float(s), 4) for s in scale] for name, scale in scales.items()},
        "largest_displacement_mm": round(longest, 3),
    }
    return bones.with_bones(varied), drawn


def principal_axes(bone: Bone) -> np.ndarray:
    """Axes (3, 3) of the bone's surface as columns, the longest first."""
    corners = bone.vertices[bone.faces]
    weight = np.linalg.norm(bone.face_normals, axis=1)
    offset = corners.mean(axis=1) - bone.centroid
    _, vectors = np.linalg.eigh((offset * weight[:, None]).T @ offset)
    return vectors[:, ::-1]


def _stretched(bone: Bone, scale: np.ndarray) -> np.ndarray:
    """Displacement (n, 3) of the bone's vertices when it is scaled along its principal axes."""
    axes = principal_axes(bone)
    return (bone.vertices - bone.centroid) @ ((axes * (scale - 1)) @ axes.T)


def _own_wavelengths(bone: Bone) -> tuple[float, float]:
    length = float(np.ptp(bone.vertices, axis=0).max())
    shortest = OWN_WAVELENGTH * min(length, 60.0)
    return shortest, 2 * shortest


def _draw(rng: np.random.Generator, count: int) -> np.ndarray:
    return np.clip(rng.standard_normal(count), -_LIMIT, _LIMIT)


class _Waves:
    """A smooth random field of displacements: a sum of plane waves of random direction and phase."""

    def __init__(self, rng: np.random.Generator, wavelengths: tuple[float, float], amplitude: float) -> None:
        direction = rng.standard_normal((_WAVES, 3))
        direction /= np.linalg.norm(direction, axis=1, keepdims=True)
        length = rng.uniform(*wavelengths, size=(_WAVES, 1))
        self._frequency = 2 * np.pi * direction / length
        self._phase = rng.uniform(0, 2 * np.pi, _WAVES)
        self._strength = amplitude * np.sqrt(2 / (3 * _WAVES)) * rng.standard_normal((_WAVES, 3))

    def __call__(self, points: np.ndarray) -> np.ndarray:
        """Displacement (n, 3) mm at ``points`` (n, 3) mm."""
        return np.sin(points @ self._frequency.T + self._phase) @ self._strength
