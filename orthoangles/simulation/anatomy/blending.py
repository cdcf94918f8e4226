"""Bones between persons: each is moved some way towards the same bone of somebody else.

Size stays as it is (see `shape.scaled`); shape moves. Laying two bones over each other costs about 0.1 s, so a
`ShapeMatches` keeps the results, in memory and in a folder if wanted::

    matches = ShapeMatches()
    foot, drawn = blend_feet(foot, donors, np.random.default_rng(1), matches=matches)
"""

import os
import re
import zlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from orthoangles.errors import SimulationError
from orthoangles.simulation.anatomy.bones import Bone, BoneSet
from orthoangles.simulation.anatomy.congruity import Congruity
from orthoangles.simulation.anatomy.registration import displacement_towards, register
from orthoangles.simulation.anatomy.smoothing import deformed

LARGEST_AMOUNT = 0.6
"""No foot is moved further than this share of the way to another person's (inferred)."""

_RESECTED = re.compile(r"(^|/)TAR_\d+")
"""Subjects whose talar dome was cut for an ankle prosthesis: their tali are nobody's shape."""


class ShapeMatches:
    """What turns one bone into another, kept: in memory, and in ``folder`` where one is given."""

    def __init__(self, folder: Path | str | None = None) -> None:
        self.folder = Path(folder) if folder is not None else None
        self._known: dict[str, np.ndarray | None] = {}

    def displacement(self, bone: Bone, other: Bone) -> np.ndarray | None:
        """Displacement (n, 3) mm of the bone's vertices to the shape of ``other``, None where they do not match."""
        key = f"{bone.name}-{_digest(bone)}-{_digest(other)}"
        if key not in self._known:
            self._known[key] = self._read(key) if self._stored(key) else self._compute(key, bone, other)
        return self._known[key]

    def _compute(self, key: str, bone: Bone, other: Bone) -> np.ndarray | None:
        similarity = register(bone, other)
        move = displacement_towards(bone, other, similarity) if similarity.fits else None
        move = None if move is None else move.astype(np.float32)
        self._write(key, move)
        return move

    def _path(self, key: str) -> Path:
        return self.folder / f"{key}.npy"

    def _stored(self, key: str) -> bool:
        return self.folder is not None and self._path(key).exists()

    def _read(self, key: str) -> np.ndarray | None:
        move = np.load(self._path(key), allow_pickle=False)
        return move if len(move) else None

    def _write(self, key: str, move: np.ndarray | None) -> None:
        """Whole or not at all: several processes may share the folder."""
        if self.folder is None:
            return
        self.folder.mkdir(parents=True, exist_ok=True)
        draft = self.folder / f"{key}.{os.getpid()}.draft"
        with draft.open("wb") as file:
            np.save(file, np.zeros((0, 3), np.float32) if move is None else move)
        draft.replace(self._path(key))


def blend(bone: Bone, other: Bone, amount: float, matches: ShapeMatches | None = None) -> Bone:
    """``bone`` moved by ``amount`` (0 to 1) towards the shape of ``other``, in its own place and size.

    Its person is then both ("a+b"). Where the two cannot be laid over each other, the bone comes back unchanged.
    Raises SimulationError for bones of other names, an amount outside 0 to 1, or where the surface would fold over.
    """
    if not 0 <= amount <= 1:
        raise SimulationError(f"{bone.name}: cannot be moved by {amount} of the way to another; give 0 to 1.")
    if bone.name != other.name:
        raise SimulationError(f"{other.name} cannot be laid over {bone.name}: they are different bones.")
    move = (matches or ShapeMatches()).displacement(bone, other) if amount else None
    if move is None:
        return bone
    return _shared(deformed(bone, amount * move.astype(np.float64)), other)


def blend_feet(
    bones: BoneSet,
    donors: Sequence[BoneSet],
    rng: np.random.Generator,
    *,
    matches: ShapeMatches | None = None,
    joints: Congruity | None = None,
    largest: float = LARGEST_AMOUNT,
) -> tuple[BoneSet, dict[str, Any]]:
    """A foot between ``bones`` and other people's, and what was drawn (JSON types).

    All bones move towards one other foot; in half of the feet tibia, fibula and talus move towards one of the ankles
    instead, and the calcaneus towards one of the hindfeet, each by its own amount of 0 to ``largest``. Donors of the
    foot's own person are left out. Joint surfaces stay together as in `shape.vary_shape`, by ``joints`` where they are
    known already. Raises SimulationError where a bone would fold over.
    """
    matches = matches or ShapeMatches()
    plan = _plan(bones, donors, rng, largest)
    moves = {name: np.zeros_like(bone.vertices) for name, bone in bones.items()}
    blended = {}
    for name, (donor, amount) in plan.items():
        move = matches.displacement(bones[name], donor[name])
        if move is not None:
            moves[name] = amount * move.astype(np.float64)
            blended[name] = (donor, amount)
    moves = (joints or Congruity(bones)).joined(moves)
    result = {name: deformed(bone, moves[name]) for name, bone in bones.items()}
    result = {name: _shared(bone, blended[name][0][name]) if name in blended else bone for name, bone in result.items()}
    return bones.with_bones(result), {
        "bones": {name: {"towards": donor.id, "amount": round(amount, 4)} for name, (donor, amount) in blended.items()}
    }


def _plan(
    bones: BoneSet, donors: Sequence[BoneSet], rng: np.random.Generator, largest: float
) -> Mapping[str, tuple[BoneSet, float]]:
    """Which bone moves towards whose, and how far. The same number of draws whatever the donors."""
    strangers = [donor for donor in donors if not set(donor.persons) & set(bones.persons)]
    groups = (
        ([donor for donor in strangers if donor.kind == "foot"], tuple(bones), 1.0),
        ([donor for donor in strangers if donor.kind == "ankle"], ("tibia", "fibula", "talus"), 0.5),
        ([donor for donor in strangers if donor.kind == "hindfoot"], ("calcaneus",), 0.5),
    )
    plan: dict[str, tuple[BoneSet, float]] = {}
    for candidates, names, share in groups:
        which, chance, amount = rng.random(3)
        if not candidates or chance >= share:
            continue
        donor = candidates[int(which * len(candidates))]
        for name in names:
            if name in donor and name in bones and not (name == "talus" and resected(donor)):
                plan[name] = (donor, float(amount * largest))
    return plan


def resected(donor: BoneSet) -> bool:
    """Whether the talus of this subject was cut by a surgeon."""
    return bool(_RESECTED.search(donor.id))


def _shared(bone: Bone, other: Bone) -> Bone:
    persons = dict.fromkeys([*bone.person.split("+"), *other.person.split("+")])
    return Bone(bone.name, bone.vertices, bone.faces, "+".join(persons))


def _digest(bone: Bone) -> str:
    """Short fingerprint of the surface; twice CRC-32 is enough to tell a few thousand bones apart."""
    values = np.ascontiguousarray(bone.vertices).tobytes()
    return f"{zlib.crc32(values):08x}{zlib.crc32(values[::-1]):08x}"
