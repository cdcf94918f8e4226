"""Whose bones a simulated foot is made of: standing feet to start from, donors, and groups that share no person."""

import os
import zlib
from collections.abc import Mapping
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from orthoangles.errors import SimulationError
from orthoangles.simulation.anatomy.bones import FOOT_BONES, Bone, BoneLibrary, BoneSet
from orthoangles.simulation.pose.search import shaft_direction

_DONOR_KINDS = ("ankle", "hindfoot")
LEG_LENGTH = 230.0
"""mm of leg above the ankle that a radiograph may show; a shorter tibia's shaft is drawn out to it."""


class FootPool:
    """Feet to pose, from a bone library or, without one, the procedural bone set.

    People are dealt into **clusters**: a foot without toes goes with the person who lends it toes, and everyone who
    only lends the shape of a bone belongs to one cluster. Cases of different clusters share no person, so a cluster is
    the group of its cases. ``persons`` limits the pool; raises SimulationError where nobody is left.
    """

    def __init__(self, folder: str | None = None, persons: tuple[str, ...] = ()) -> None:
        self.library = BoneLibrary(folder) if folder else None
        self.persons = persons
        self._shared: Path | None = None
        if self.library and not self.subjects:
            known = sorted({self.library.person(subject) for subject in self.library.subjects("foot")})
            raise SimulationError(f"no foot of {', '.join(persons) or 'anyone'} among the bones; there are {known}.")

    @cached_property
    def subjects(self) -> tuple[str, ...]:
        """Ids of the feet to pose."""
        if self.library is None:
            return ("procedural",)
        return tuple(name for name in self.library.subjects("foot") if self._allowed(name))

    def _allowed(self, subject: str) -> bool:
        return not self.persons or self.library.person(subject) in self.persons

    @cached_property
    def clusters(self) -> Mapping[str, tuple[str, ...]]:
        """Cluster id -> the persons whose feet are posed in it."""
        if self.library is None:
            return {"procedural": ("procedural",)}
        whole = sorted({self.library.person(name) for name in self.subjects if self._has_toes(name)})
        partial = sorted({self.library.person(name) for name in self.subjects} - set(whole))
        members = {person: [person] for person in whole or partial}
        for i, person in enumerate(partial if whole else ()):
            members[whole[i % len(whole)]].append(person)
        return {"+".join(sorted(each)): tuple(sorted(each)) for each in members.values()}

    def _has_toes(self, subject: str) -> bool:
        return set(FOOT_BONES) <= set(self.library.bone_names(subject))

    def cluster_of(self, subject: str) -> str:
        """The cluster that a foot belongs to: the group of its cases."""
        if self.library is None:
            return "procedural"
        person = self.library.person(subject)
        return next(name for name, members in self.clusters.items() if person in members)

    def choose(self, rng: np.random.Generator) -> str:
        """A foot: each person alike, then one of their feet."""
        if self.library is None:
            return self.subjects[0]
        persons = sorted({self.library.person(name) for name in self.subjects})
        person = persons[rng.integers(len(persons))]
        feet = [name for name in self.subjects if self.library.person(name) == person]
        return feet[rng.integers(len(feet))]

    def donors(self, subject: str) -> tuple[BoneSet, ...]:
        """Sets whose bones may lend this foot their shape: of its own cluster and dealt to it."""
        return tuple(self._read(name) for name in self.donor_ids(subject))

    def donor_ids(self, subject: str) -> tuple[str, ...]:
        """Their ids."""
        if self.library is None:
            return ()
        cluster = self.cluster_of(subject)
        feet = [s for s in self.subjects if s != subject and self.cluster_of(s) == cluster]
        others = [name for kind in _DONOR_KINDS for name in self.library.subjects(kind) if self._allowed(name)]
        people = sorted({self.library.person(name) for name in others})
        order = sorted(self.clusters)
        dealt = {person: order[i % len(order)] for i, person in enumerate(people)}
        return tuple(feet + [name for name in others if dealt[self.library.person(name)] == cluster])

    @cached_property
    def matches(self) -> Any:
        """What turns one person's bone into another's, worked out once for each pair."""
        from orthoangles.simulation.anatomy.blending import ShapeMatches

        return ShapeMatches(self._shared)

    def share(self, folder: Path | None) -> None:
        """Keep what is worked out once in ``folder`` too, for other processes with the same pool and program.

        None: in this process only. What was worked out stays known.
        """
        self._shared = folder
        self.matches.folder = folder

    @lru_cache(maxsize=32)  # noqa: B019
    def joints(self, subject: str) -> Any:
        """How shapes pass across the joints of the standing foot."""
        from orthoangles.simulation.anatomy.congruity import Congruity

        return Congruity(self.standing(subject))

    @lru_cache(maxsize=64)  # noqa: B019 - a pool lives as long as its process
    def _read(self, subject: str) -> BoneSet:
        return self.library.subject(subject)

    @lru_cache(maxsize=32)  # noqa: B019
    def standing(self, subject: str) -> BoneSet:
        """The foot with all its bones, standing straight: where every simulated foot of this subject starts.

        Costs a few seconds the first time. Raises SimulationError where a bone is missing or will not stand.
        """
        from orthoangles.simulation.pose.standing import stand_up

        whole = self._whole(subject)
        if self._shared is None:
            return stand_up(whole)
        kept = self._shared / f"{zlib.crc32(subject.encode()):08x}.npz"
        if not kept.exists():
            _write_vertices(kept, stand_up(whole))
        with np.load(kept) as vertices:
            # In the order in which they were posed: whoever draws bone by bone must draw alike.
            return whole.with_bones({name: whole[name].with_vertices(vertices[name]) for name in vertices.files})

    def _whole(self, subject: str) -> BoneSet:
        from orthoangles.simulation.anatomy.grafting import complete_foot
        from orthoangles.simulation.anatomy.procedural_bones import procedural_foot

        if self.library is None:
            foot = procedural_foot()
        else:
            foot = self._read(subject)
            if not set(FOOT_BONES) <= set(foot):
                foot = complete_foot(foot, self._toe_donor(subject))
        return foot.with_bones({name: _long_leg(name, foot) for name in foot})

    def _toe_donor(self, subject: str) -> BoneSet:
        from orthoangles.simulation.anatomy.procedural_bones import procedural_foot

        members = self.clusters[self.cluster_of(subject)]
        for name in self.subjects:
            if self.library.person(name) in members and self._has_toes(name):
                return self._read(name)
        return procedural_foot()


def _write_vertices(path: Path, bones: BoneSet) -> None:
    """Whole or not at all: several processes may share the folder."""
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_suffix(f".{os.getpid()}.draft")
    with draft.open("wb") as file:
        np.savez(file, **{name: bone.vertices for name, bone in bones.items()})
    draft.replace(path)


def _long_leg(name: str, foot: BoneSet) -> Bone:
    """A tibia or fibula whose shaft goes on as far as :data:`LEG_LENGTH`; any other bone as it is."""
    bone = foot[name]
    if name not in ("tibia", "fibula"):
        return bone
    along = shaft_direction(bone.vertices)
    height = (bone.vertices - foot["talus"].centroid) @ along
    lacking = LEG_LENGTH - height.max()
    if lacking <= 0:
        return bone
    start = height.max() - 0.3 * np.ptp(height)
    share = np.clip((height - start) / (height.max() - start), 0, None)
    return bone.with_vertices(bone.vertices + (lacking * share**1.5)[:, None] * along)


@lru_cache(maxsize=4)
def foot_pool(folder: str | None, persons: tuple[str, ...]) -> FootPool:
    """The pool, made once in each process."""
    return FootPool(folder, persons)
