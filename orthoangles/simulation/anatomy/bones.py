"""Named bone surfaces: one mesh per bone, a manifest beside them that says whose they are.

A **bone library** is a folder with ``manifest.json`` and, for each of its subjects, a folder of one PLY per bone
(mm, closed, outward normals). Feet lie in the foot frame: +x is the subject's right, +y anterior (heel to second
metatarsal), +z dorsal, origin in the talus. Everything here is kept as a **right** foot: left subjects are mirrored
when they are read, so that +x is lateral::

    library = BoneLibrary("bones")
    foot = library.subject("foot_vsd_z013_L")        # a right foot from now on; foot.side is "L"
    foot["talus"].vertices                            # (n, 3) mm
"""

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from orthoangles.errors import SimulationError

TARSALS = (
    "talus",
    "calcaneus",
    "navicular",
    "cuboid",
    "medial_cuneiform",
    "intermediate_cuneiform",
    "lateral_cuneiform",
)
METATARSALS = tuple(f"metatarsal_{ray}" for ray in range(1, 6))
PHALANGES = tuple(
    f"{row}_phalanx_{ray}"
    for ray in range(1, 6)
    for row in ("proximal", "middle", "distal")
    if (row, ray) != ("middle", 1)
)
SESAMOIDS = ("sesamoid_medial", "sesamoid_lateral")
FOOT_BONES = ("tibia", "fibula", *TARSALS, *METATARSALS, *PHALANGES, *SESAMOIDS)
"""The 30 bones of a whole foot."""

MANIFEST = "manifest.json"


@dataclass(frozen=True, eq=False)
class Bone:
    """One closed surface: ``vertices`` (n, 3) float64 mm, ``faces`` (m, 3) int32, counter-clockwise from outside.

    ``person`` is whose bone it is: no split may part what stems from one person.
    """

    name: str
    vertices: np.ndarray
    faces: np.ndarray
    person: str = ""

    @cached_property
    def face_normals(self) -> np.ndarray:
        """Outward normals of the faces (m, 3), as long as twice the face's area."""
        a, b, c = (self.vertices[self.faces[:, corner]] for corner in range(3))
        return np.cross(b - a, c - a)

    @cached_property
    def vertex_normals(self) -> np.ndarray:
        """Outward unit normals of the vertices (n, 3), the faces weighted by area."""
        normals = np.zeros_like(self.vertices)
        for corner in range(3):
            for axis in range(3):
                normals[:, axis] += np.bincount(
                    self.faces[:, corner], weights=self.face_normals[:, axis], minlength=len(normals)
                )
        length = np.linalg.norm(normals, axis=1, keepdims=True)
        return normals / np.where(length > 0, length, 1)

    @cached_property
    def volume(self) -> float:
        """Enclosed volume in mm3."""
        a, b, c = (self.vertices[self.faces[:, corner]] for corner in range(3))
        return float(np.einsum("ij,ij->", a, np.cross(b, c)) / 6)

    @cached_property
    def centroid(self) -> np.ndarray:
        """Centre of the enclosed volume (3,) mm."""
        a, b, c = (self.vertices[self.faces[:, corner]] for corner in range(3))
        share = np.einsum("ij,ij->i", a, np.cross(b, c))
        return np.einsum("i,ij->j", share, a + b + c) / (4 * share.sum())

    def with_vertices(self, vertices: np.ndarray) -> "Bone":
        """The same faces over other vertices (n, 3)."""
        return Bone(self.name, np.ascontiguousarray(vertices, dtype=np.float64), self.faces, self.person)

    def moved(self, rotation: np.ndarray, translation: np.ndarray) -> "Bone":
        """Every vertex p moved to ``rotation`` @ p + ``translation``."""
        return self.with_vertices(self.vertices @ np.asarray(rotation).T + translation)

    def mirrored(self) -> "Bone":
        """Mirrored left to right (x to -x), still facing outward."""
        return Bone(self.name, self.vertices * (-1.0, 1.0, 1.0), np.ascontiguousarray(self.faces[:, ::-1]), self.person)


@dataclass(frozen=True, eq=False)
class BoneSet(Mapping[str, Bone]):
    """The bones of one subject's foot (or ankle, hindfoot, spine, pelvis), by name, as a right foot.

    ``side`` is the side that was scanned; ``source`` and ``licence`` come from the manifest.
    """

    id: str
    kind: str
    person: str
    side: str
    bones: Mapping[str, Bone]
    source: str = ""
    licence: str = ""

    def __getitem__(self, name: str) -> Bone:
        return self.bones[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self.bones)

    def __len__(self) -> int:
        return len(self.bones)

    @property
    def persons(self) -> tuple[str, ...]:
        """Everyone whose bone is in the set, in alphabetical order; a bone blended of two ("a+b") counts for both."""
        return tuple(sorted({person for bone in self.bones.values() for person in bone.person.split("+")}))

    def with_bones(self, bones: Mapping[str, Bone]) -> "BoneSet":
        """The same subject with these bones instead."""
        return replace(self, bones=dict(bones))


class BoneLibrary:
    """The bone meshes in ``folder``. Raises SimulationError where its manifest is missing or malformed."""

    def __init__(self, folder: Path | str) -> None:
        self.folder = Path(folder)
        self._entries = _read_manifest(self.folder)

    def subjects(self, kind: str | None = None) -> tuple[str, ...]:
        """Ids of the subjects, of one ``kind`` (foot, ankle, hindfoot, spine, pelvis) or all, in alphabetical order."""
        return tuple(sorted(name for name, entry in self._entries.items() if kind in (None, entry.get("kind"))))

    def person(self, subject_id: str) -> str:
        """Whose bones these are: the two sides of one body, and two scans of it, are one person."""
        entry = self._entry(subject_id)
        named = entry.get("person")
        return str(named) if named else _person_of(subject_id)

    def bone_names(self, subject_id: str) -> tuple[str, ...]:
        """Names of the bones that the manifest lists for a subject."""
        return tuple(self._entry(subject_id)["bones"])

    def subject(self, subject_id: str) -> BoneSet:
        """Read the bones of one subject. Raises SimulationError naming the file that cannot be used."""
        entry = self._entry(subject_id)
        side = str(entry.get("side", ""))
        person = self.person(subject_id)
        bones = {}
        for name in entry["bones"]:
            bone = _read_bone(self.folder / subject_id / f"{name}.ply", name, person)
            bones[name] = bone.mirrored() if side == "L" else bone
        return BoneSet(
            subject_id,
            str(entry.get("kind", "foot")),
            person,
            side,
            bones,
            str(entry.get("source_repository", "")),
            str(entry.get("licence", "")),
        )

    def _entry(self, subject_id: str) -> Mapping[str, Any]:
        try:
            return self._entries[subject_id]
        except KeyError:
            raise SimulationError(
                f"{self.folder.name}: has no subject '{subject_id}'; there are {', '.join(self.subjects())}."
            ) from None


def _person_of(subject_id: str) -> str:
    """One name for both sides and both modalities of a body: foot_staple_tlem2_ct_L -> tlem2."""
    name = subject_id.rsplit("/", 1)[-1]
    name = re.sub(r"_[LR]$", "", name)
    name = re.sub(r"^(foot|pelvis)_", "", name)
    name = re.sub(r"^(staple|vsd)_", "", name)
    if name.startswith("tlem2"):
        return "tlem2"
    # Whether KSBL_L_03 and KSBL_R_03 are one person is not told: taking them for one is safe.
    name = re.sub(r"^KSBL_[LR]_", "KSBL_", name)
    # Joint-fusion cases: the treated and the other foot bear one number (NonTTA_04, TTA_04).
    return re.sub(r"^Non", "", name)


def _read_manifest(folder: Path) -> Mapping[str, Mapping[str, Any]]:
    path = folder / MANIFEST
    try:
        entries = json.loads(path.read_text(encoding="utf-8"))["folders"]
    except FileNotFoundError:
        raise SimulationError(f"{folder.name}: has no {MANIFEST}; give a folder of named bone meshes.") from None
    except (OSError, UnicodeDecodeError, json.JSONDecodeError, KeyError, TypeError) as error:
        raise SimulationError(f"{path.name} in {folder.name}: cannot be read ({type(error).__name__}).") from error
    whole = isinstance(entries, dict) and all(
        isinstance(entry, dict) and entry.get("bones") for entry in entries.values()
    )
    if not whole:
        raise SimulationError(f"{path.name} in {folder.name}: 'folders' must name each subject with its bones.")
    return entries


def _read_bone(path: Path, name: str, person: str) -> Bone:
    import trimesh

    if not path.is_file():
        raise SimulationError(f"{path.parent.name}/{path.name}: is missing though the manifest names it.")
    try:
        mesh = trimesh.load_mesh(path, process=False)
        vertices, faces = np.asarray(mesh.vertices, dtype=np.float64), np.asarray(mesh.faces, dtype=np.int32)
    except Exception as error:
        reason = type(error).__name__
        raise SimulationError(f"{path.parent.name}/{path.name}: is not a readable PLY mesh ({reason}).") from error
    if len(faces) < 4 or not np.isfinite(vertices).all():
        raise SimulationError(f"{path.parent.name}/{path.name}: holds no usable surface.")
    bone = _outer_shell(Bone(name, vertices, faces, person))
    if bone.volume <= 0:
        raise SimulationError(f"{path.parent.name}/{path.name}: its faces do not face outward.")
    return bone


def _outer_shell(bone: Bone) -> Bone:
    """The largest connected surface: some meshes enclose a cavity or a loose crumb as a second one."""
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    a, b = np.concatenate([bone.faces[:, :2], bone.faces[:, 1:]]).T
    n = len(bone.vertices)
    label = connected_components(coo_array((np.ones(len(a)), (a, b)), shape=(n, n)), directed=False)[1]
    used = label[bone.faces[:, 0]]
    if used.min() == used.max():
        return bone
    faces = bone.faces[used == np.bincount(used).argmax()]
    kept, renumbered = np.unique(faces, return_inverse=True)
    return Bone(bone.name, bone.vertices[kept], renumbered.reshape(-1, 3).astype(np.int32), bone.person)
