"""A posed foot seen by a camera: where to put the camera, and the path lengths through each tissue."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from orthoangles.errors import SimulationError
from orthoangles.simulation.pose.posed_foot import PosedFoot
from orthoangles.simulation.radiography.cameras import Camera, ap_camera, lateral_camera
from orthoangles.simulation.radiography.rasterising import Crop, path_crops

if TYPE_CHECKING:
    from orthoangles.simulation.tissue.tissue import FootTissue

VIEWS = ("ap", "lateral")
SKIN_THICKNESS = 1.6
"""Skin proper in mm between the surface and the fat (inferred): its rim is the thin bright outline of a foot."""
_LEG = ("tibia", "fibula")


@dataclass(frozen=True)
class FootPaths:
    """Path lengths in mm (rows, columns) float32: ``cortex``, ``trabecular`` inside of bones, ``skin``, ``flesh``: what
    the skin encloses besides bone. ``inside`` bone name -> the trabecular path of that bone alone.
    """

    cortex: np.ndarray
    trabecular: np.ndarray
    skin: np.ndarray
    flesh: np.ndarray
    inside: Mapping[str, Crop] = field(default_factory=dict)


def foot_paths(
    foot: PosedFoot, tissue: "FootTissue", camera: Camera, *, other_foot: float | None = None, device: str = "cpu"
) -> FootPaths:
    """Path lengths through ``foot``; ``other_foot`` puts its mirror image medially, that many mm from skin to skin."""
    names = list(foot.bones)
    skin, skin_faces = tissue.skin
    below = skin - _normals(skin, skin_faces) * SKIN_THICKNESS
    meshes = [(foot.bones[name].vertices, foot.bones[name].faces) for name in names]
    meshes += [(tissue.inner[name], foot.bones[name].faces) for name in names]
    meshes += [(skin, skin_faces), (below, skin_faces)]
    if other_foot is not None:
        axis = _low_part(skin)[:, 0].min() - other_foot / 2
        meshes += [(_reflected(v, axis), f[:, ::-1]) for v, f in meshes]
    crops = path_crops(meshes, camera, device)
    count = len(names)
    feet = range(0, len(crops), 2 * count + 2)
    outer = _sum([crop for start in feet for crop in crops[start : start + count]], camera.shape)
    inner = _sum([crop for start in feet for crop in crops[start + count : start + 2 * count]], camera.shape)
    whole = _sum([crops[start + 2 * count] for start in feet], camera.shape)
    under = _sum([crops[start + 2 * count + 1] for start in feet], camera.shape)
    inside = dict(zip(names, crops[count : 2 * count], strict=True))
    return FootPaths(
        cortex=np.clip(outer - inner, 0, None),
        trabecular=np.clip(inner, 0, None),
        skin=np.clip(whole - under, 0, None),
        flesh=np.clip(under - outer, 0, None),
        inside=inside,
    )


def slab_path(camera: Camera, low: np.ndarray, high: np.ndarray) -> np.ndarray:
    """Path in mm (rows, columns) float32 inside the box from ``low`` to ``high`` (3,) mm, edges along the axes."""
    rows, columns = camera.shape
    enter = np.zeros(camera.shape)
    leave = np.ones(camera.shape)
    x, y = np.arange(columns), np.arange(rows)[:, None]
    away = camera.origin - camera.source
    for axis in range(3):
        way = away[axis] + x * camera.column_step[axis] + y * camera.row_step[axis]
        way = np.where(np.abs(way) < 1e-12, 1e-12, way)
        first, second = (low[axis] - camera.source[axis]) / way, (high[axis] - camera.source[axis]) / way
        np.maximum(enter, np.minimum(first, second), out=enter)
        np.minimum(leave, np.maximum(first, second), out=leave)
    return (np.clip(leave - enter, 0, None) * camera.ray_lengths()).astype(np.float32)


def view_camera(
    foot: PosedFoot,
    tissue: "FootTissue",
    view: str,
    rng: np.random.Generator | None = None,
    shape: tuple[int, int] | None = None,
) -> Camera:
    """A camera that frames the foot as radiographers do, at random with ``rng``, else the plain view of the middle.

    ``view`` is "ap" or "lateral"; ``shape`` (rows, columns), 1024 x 512 for AP and 768 x 1024 for lateral by default.
    The plain view shows every bone of the foot but the leg's upper part; a random one may cut the heel (AP) or the tips
    of the toes. Lateral views end below the cut of the leg. Raises SimulationError on another view.
    """
    skin = _low_part(tissue.skin[0])
    bones = np.vstack([bone.vertices for name, bone in foot.bones.items() if name not in _LEG])
    low, high = np.minimum(bones.min(axis=0), skin.min(axis=0)), np.maximum(bones.max(axis=0), skin.max(axis=0))
    return framed_camera(view, low, high, tissue.top, rng, shape)


def framed_camera(
    view: str,
    low: np.ndarray,
    high: np.ndarray,
    top: float,
    rng: np.random.Generator | None = None,
    shape: tuple[int, int] | None = None,
) -> Camera:
    """As :func:`view_camera`, of a foot in the box ``low`` to ``high`` (3,) mm whose leg is cut at ``top``."""
    if view not in VIEWS:
        raise SimulationError(f"radiograph: view '{view}' is not one of {', '.join(VIEWS)}.")
    if view == "ap":
        return _framed_ap(low, high, rng, shape or (1024, 512))
    return _framed_lateral(low, high, top, rng, shape or (768, 1024))


def _framed_ap(low: np.ndarray, high: np.ndarray, rng: np.random.Generator | None, shape: tuple[int, int]) -> Camera:
    """Margins, tilt 10 to 20 degrees and turn +-12 degrees of a hand-set tube (inferred, about issue 3's 15)."""
    centre = np.array([(low[0] + high[0]) / 2, (low[1] + high[1]) / 2, 20.0])
    extent = high - low
    margins, tilt, turn, off, shift, distance = np.array([12.0, 12.0]), 15.0, 0.0, np.zeros(2), np.zeros(2), 1000.0
    if rng is not None:
        margins = rng.uniform([4.0, -6.0], [35.0, 35.0])
        tilt, turn = float(np.clip(rng.normal(15, 2.5), 5, 22)), float(np.clip(rng.normal(0, 4), -12, 12))
        off = rng.uniform(-0.5, 0.5, 2) * np.maximum(margins, 4)
        shift = rng.normal(0, 12, 2)
        distance = float(rng.uniform(950, 1150))
    pixel = float(max((extent[0] + 2 * margins[0]) / shape[1], (extent[1] + 2 * margins[1]) / shape[0]) * 1.04)
    centre[:2] += off
    return ap_camera(
        centre, pixel=pixel, shape=shape, tilt=tilt, turn=turn, shift=(shift[0], shift[1]), source_distance=distance
    )


def _framed_lateral(
    low: np.ndarray, high: np.ndarray, top: float, rng: np.random.Generator | None, shape: tuple[int, int]
) -> Camera:
    """Margins, turn and fall of the beam of a hand-set tube (inferred: most are within 5 degrees)."""
    side, below, turn, tilt, shift = 15.0, 15.0, 0.0, 0.0, np.zeros(2)
    distance, gap = 1000.0, 15.0
    if rng is not None:
        side, below = rng.uniform(-2.0, 45.0), rng.uniform(4.0, 35.0)
        turn, tilt = np.clip(rng.normal(0, [3.0, 1.2]), -8, 8)
        shift = rng.normal(0, [25, 12])
        distance, gap = rng.uniform(950, 1150), rng.uniform(5, 40)
    pixel = (high[1] - low[1] + 2 * side) / shape[1] * 1.06
    height = pixel * shape[0] / 1.06
    # The leg's bones are cut somewhere: the view must end below, showing more of the plate if need be.
    if np.isfinite(top) and height - below > top - 4.0:
        below = max(height - (top - 4.0), below)
    centre = np.array([(low[0] + high[0]) / 2, (low[1] + high[1]) / 2, height / 2 - below])
    if rng is not None:
        centre[1] += rng.uniform(-0.6, 0.6) * max(side, 4.0)
    return lateral_camera(
        centre,
        pixel=float(pixel),
        shape=shape,
        turn=float(turn),
        tilt=float(tilt),
        shift=(float(shift[0]), float(shift[1])),
        source_distance=float(distance),
        detector_x=float(high[0] + gap),
    )


def _low_part(skin: np.ndarray) -> np.ndarray:
    """The foot without the leg: below 60 mm."""
    low = skin[skin[:, 2] < 60.0]
    return low if len(low) else skin


def _reflected(vertices: np.ndarray, x: float) -> np.ndarray:
    return vertices * (-1.0, 1.0, 1.0) + (2 * x, 0.0, 0.0)


def _sum(crops: list[Crop], shape: tuple[int, int]) -> np.ndarray:
    total = np.zeros(shape, dtype=np.float32)
    for crop in crops:
        total[crop.window] += crop.values
    return total


def _normals(vertices: np.ndarray, faces: np.ndarray) -> np.ndarray:
    from orthoangles.simulation.anatomy.bones import Bone

    return Bone("skin", vertices, faces).vertex_normals
