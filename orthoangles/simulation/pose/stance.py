"""How a foot should stand, and the pose that was found."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from orthoangles.simulation.anatomy.bones import BoneSet


@dataclass(frozen=True)
class Stance:
    """How the foot stands beside its angles: ``lean`` of the tibia (lateral, anterior) in degrees, ``bias`` of joints
    (name -> rotations in degrees about flexion, abduction and rotation axis), ``size`` against an adult foot.
    """

    lean: tuple[float, float] = (0.0, 3.0)
    bias: Mapping[str, tuple[float, float, float]] = field(default_factory=dict)
    size: float = 1.0


PLAIN_STANCE = Stance()


@dataclass(frozen=True, eq=False)
class Pose:
    """What was found: ``rotations`` (b, 3, 3) and ``translations`` (b, 3) of the bones named by ``names``, the joints'
    ``coordinates`` in degrees and mm, the ``values`` of the angles in degrees, the chain's state ``q`` after ``steps``.
    """

    names: tuple[str, ...]
    rotations: np.ndarray
    translations: np.ndarray
    coordinates: Mapping[str, Any]
    values: Mapping[str, float]
    q: np.ndarray
    steps: int

    def placed(self, bones: BoneSet) -> BoneSet:
        """The bones moved."""
        moves = zip(self.names, self.rotations, self.translations, strict=True)
        return bones.with_bones({name: bones[name].moved(r, t) for name, r, t in moves})

    def moved(self, bone: str, point: np.ndarray) -> np.ndarray:
        """A point (3,) of a bone moved with it."""
        i = self.names.index(bone)
        return self.rotations[i] @ point + self.translations[i]

    def before(self, bone: str, point: np.ndarray) -> np.ndarray:
        """Where a point (3,) of a posed bone was before it was moved."""
        i = self.names.index(bone)
        return self.rotations[i].T @ (point - self.translations[i])
