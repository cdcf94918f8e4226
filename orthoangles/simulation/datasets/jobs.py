"""What a simulated dataset of spines is made of: jobs for :class:`.simulating.DatasetSimulation`."""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from orthoangles.errors import SimulationError
from orthoangles.simulation.anatomy.bones import MANIFEST, BoneLibrary
from orthoangles.simulation.datasets.simulating import SimulatedCase
from orthoangles.simulation.threads import one_thread

if TYPE_CHECKING:
    from orthoangles.simulation.spine.drawn import SimulatedSpine

SPINE_PROTOCOL = "spine-ap-cobb"


@dataclass(frozen=True)
class SpineJob:
    """Drawn AP whole-spine radiographs of ``size`` (rows, columns), no bones needed."""

    size: tuple[int, int] = (1024, 448)
    kind = "spine"

    def recipe(self) -> Mapping[str, Any]:
        """As :class:`Job` says."""
        return {"spine": "drawn", "size": list(self.size)}

    def case_ids(self, seed: int) -> tuple[str, ...]:
        """One case."""
        return (f"simulated-spine-{seed}",)

    def __call__(self, seed: int, folder: Path) -> Sequence[SimulatedCase]:
        """One radiograph."""
        from orthoangles.simulation.spine.drawn import simulate_spine

        return (_spine_case(self.case_ids(seed)[0], simulate_spine(seed, self.size), folder, ()),)


@dataclass(frozen=True)
class BoneSpineJob:
    """AP whole-spine radiographs of ``size`` (rows, columns) projected from the spines in a bone library.

    Raises SimulationError where the library at ``bones`` has no spine with ribs and pelvis.
    """

    bones: Path
    size: tuple[int, int] = (1024, 448)
    kind = "spine"

    def __post_init__(self) -> None:
        object.__setattr__(self, "bones", Path(self.bones))
        object.__setattr__(self, "subject", _whole_spine(self.bones))

    def recipe(self) -> Mapping[str, Any]:
        """As :class:`Job` says."""
        return {"spine": self.subject, "library": library_digest(self.bones), "size": list(self.size)}

    def case_ids(self, seed: int) -> tuple[str, ...]:
        """One case."""
        return (f"simulated-bone-spine-{seed}",)

    def __call__(self, seed: int, folder: Path) -> Sequence[SimulatedCase]:
        """One radiograph."""
        from orthoangles.simulation.spine.from_bones import simulate_spine_from_bones

        trunk = _trunk(self.bones, self.subject)
        with one_thread():
            spine = simulate_spine_from_bones(trunk, seed, self.size)
        return (_spine_case(self.case_ids(seed)[0], spine, folder, trunk.bones.persons),)


def _spine_case(case_id: str, spine: "SimulatedSpine", folder: Path, persons: tuple[str, ...]) -> SimulatedCase:
    from orthoangles.protocols import load_protocol

    image = folder / f"{case_id}.png"
    spine.write_png(image)
    points = dict(zip(load_protocol(SPINE_PROTOCOL).landmark_ids, spine.points, strict=True))
    about = {"view": "AP", "modality": "DX"}
    return SimulatedCase(case_id, image, SPINE_PROTOCOL, points, persons, spine.parameters, about)


def _whole_spine(bones: Path) -> str:
    """The first spine of the library that has ribs and pelvis."""
    from orthoangles.simulation.spine.bones_pose import PELVIS, RIBS, VERTEBRAE

    library = BoneLibrary(bones)
    for subject in library.subjects("spine"):
        if {*VERTEBRAE, *RIBS, *PELVIS} <= set(library.bone_names(subject)):
            return subject
    raise SimulationError(f"{bones.name}: has no spine with ribs and pelvis; leave out --bones for drawn spines.")


@lru_cache(maxsize=1)
def _trunk(bones: Path, subject: str):
    from orthoangles.simulation.spine.bones_pose import spine_bones

    return spine_bones(BoneLibrary(bones).subject(subject))


def library_digest(bones: Path) -> str:
    """Sixteen hex digits of the library's manifest, which counts and measures every mesh."""
    return hashlib.sha256((bones / MANIFEST).read_bytes()).hexdigest()[:16]
