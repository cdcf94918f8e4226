"""A trunk of blocks as a bone library: no real bones, but everything that a spine of bones needs, of known size."""

import json
from functools import lru_cache
from pathlib import Path

import numpy as np

from orthoangles.simulation.anatomy.bones import Bone, BoneSet

WIDTH, DEPTH, HEIGHT = 40.0, 30.0, 22.0
ROUNDING = 2.0
STEP = 28.0
NAMES = (*(f"t{i}" for i in range(1, 13)), *(f"l{i}" for i in range(1, 6)))


def _meshed(distance, low, high, step):
    from skimage.measure import marching_cubes

    axes = [np.arange(a, b + step, step) for a, b in zip(low, high, strict=True)]
    grid = np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1)
    vertices, faces, _, _ = marching_cubes(distance(grid), 0.0, spacing=(step,) * 3)
    bone = Bone("block", vertices + low, faces.astype(np.int32))
    return bone if bone.volume > 0 else Bone("block", bone.vertices, np.ascontiguousarray(bone.faces[:, ::-1]))


def _box(points, centre, half, rounding):
    q = np.abs(points - centre) - np.asarray(half) + rounding
    return np.linalg.norm(np.maximum(q, 0), axis=-1) + np.minimum(q.max(axis=-1), 0) - rounding


def _oval_body(points):
    """Oval from above, straight walls, rounded rim; distances are true at its sides."""
    radial = (np.hypot(points[..., 0] / (WIDTH / 2), points[..., 1] / (DEPTH / 2)) - 1) * WIDTH / 2
    q = np.stack([radial, np.abs(points[..., 2]) - HEIGHT / 2], axis=-1) + ROUNDING
    return np.linalg.norm(np.maximum(q, 0), axis=-1) + np.minimum(q.max(axis=-1), 0) - ROUNDING


@lru_cache(maxsize=1)
def block_vertebra() -> Bone:
    """Body about the origin, canal behind it, then lamina, transverse and spinous processes; mm."""

    def distance(p):
        parts = [
            _oval_body(p),
            _box(p, (14, -22, 4), (4, 10, 5), 1.5),
            _box(p, (-14, -22, 4), (4, 10, 5), 1.5),
            _box(p, (0, -33, 2), (18, 4, 7), 1.5),
            _box(p, (0, -48, -6), (3, 16, 6), 1.5),
        ]
        return np.min(parts, axis=0)

    return _meshed(distance, (-36, -70, -18), (36, 20, 16), 1.5)


@lru_cache(maxsize=1)
def block_trunk() -> BoneSet:
    """T1 to L5 one above another, ribs as slabs to the sides, the pelvis as three boxes."""
    bones = {}
    vertebra = block_vertebra()
    for level, name in enumerate(reversed(NAMES)):
        bones[name] = vertebra.moved(np.eye(3), np.array([0.0, 5.0, 18.0 + STEP * level]))
    for number in range(1, 13):
        for side, sign in (("r", 1), ("l", -1)):
            at = bones[f"t{number}"].centroid + np.array([sign * 80, -5, -8])
            low, high = (-60, -10, -10), (60, 10, 10)
            rib = _meshed(lambda p: _box(p, (0, 0, 0), (50, 4, 5), 2), low, high, 2.0)
            bones[f"rib_{number}_{side}"] = rib.moved(np.eye(3), at)
    for name, x, half in (("sacrum", 0, 35), ("hip_r", 85, 40), ("hip_l", -85, 40)):
        block = _meshed(lambda p, half=half: _box(p, (0, 0, 0), (half, 15, 40), 3), (-50, -25, -50), (50, 25, 50), 3.0)
        bones[name] = block.moved(np.eye(3), np.array([x, 0.0, -45.0]))
    bones = {name: Bone(name, bone.vertices, bone.faces, "blocks") for name, bone in bones.items()}
    return BoneSet("block_spine", "spine", "blocks", "both", bones)


def write_library(folder: Path) -> Path:
    """The trunk as a bone library at ``folder``."""
    import trimesh

    trunk = block_trunk()
    place = folder / trunk.id
    place.mkdir(parents=True)
    for name, bone in trunk.items():
        trimesh.Trimesh(bone.vertices, bone.faces, process=False).export(place / f"{name}.ply")
    entry = {"kind": "spine", "person": "blocks", "side": "both", "bones": {name: {} for name in trunk}}
    (folder / "manifest.json").write_text(json.dumps({"folders": {trunk.id: entry}}))
    return folder
