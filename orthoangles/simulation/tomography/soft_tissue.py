"""Skin, fat, muscle and tendon of a foot in Hounsfield units: where each lies is told by depth, place and chance."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from orthoangles.simulation.anatomy.bones import Bone
from orthoangles.simulation.tomography.hounsfield import (
    AIR,
    CARTILAGE,
    FAT,
    MUSCLE,
    SKIN,
    TENDON,
    VoxelGrid,
    bone_shares,
    refine,
)

_STEP = 2.0  # mm between the nodes at which depth and distance to bone are told
_FINE_STEP = 1.0  # mm between those at which tissues are told apart
_CAPSULE = 2.5  # mm about a bone that is cartilage, capsule or periosteum rather than fat (inferred)


@dataclass(frozen=True)
class SoftTissueStyle:
    """``skin`` and ``fat`` thickness in mm under most of it; ``septa``: how much fat parts the muscles (0 to 1)."""

    skin: float = 1.2
    fat: float = 4.0
    septa: float = 0.6


def random_soft_tissue_style(rng: np.random.Generator) -> SoftTissueStyle:
    """A lean to fat foot (inferred ranges; skin of the foot's back about 1 mm, thicker on the sole)."""
    return SoftTissueStyle(rng.uniform(0.9, 1.6), rng.uniform(2.0, 7.0), rng.uniform(0.3, 0.9))


def paint_soft_tissue(
    grid: VoxelGrid,
    skin: tuple[np.ndarray, np.ndarray],
    bones: Mapping[str, Bone],
    style: SoftTissueStyle,
    rng: np.random.Generator,
) -> np.ndarray:
    """HU (nx, ny, nz) float32 of a foot without its bones, in air; ``skin`` is its closed surface."""
    vertices, faces = skin
    tissue = _inner_tissue(grid, skin, bones, style, rng)
    hu = grid.occupancy(vertices, faces, slabs=4)
    fine = grid.coarse(_FINE_STEP)
    below_skin = refine(fine.occupancy(_shrunk(vertices, faces, style.skin), faces), grid, fine)
    tissue -= np.float32(SKIN)
    tissue *= below_skin
    hu *= np.float32(SKIN - AIR)
    hu += np.float32(AIR)
    hu += tissue
    return hu


def _shrunk(vertices: np.ndarray, faces: np.ndarray, depth: float) -> np.ndarray:
    """Vertices moved inward, twice as far on the sole, where skin is thickest."""
    normals = Bone("skin", vertices, faces).vertex_normals
    return vertices - normals * (depth * (1.0 + np.clip(-normals[:, 2:], 0, 1)))


def _inner_tissue(
    grid: VoxelGrid,
    skin: tuple[np.ndarray, np.ndarray],
    bones: Mapping[str, Bone],
    style: SoftTissueStyle,
    rng: np.random.Generator,
) -> np.ndarray:
    """HU of what lies below the skin, everywhere on the grid."""
    from scipy.ndimage import distance_transform_edt

    fine = grid.coarse(_FINE_STEP)
    coarse = fine.coarse(_STEP)
    depth = distance_transform_edt(_padded(coarse.occupancy(*skin) > 0.5), sampling=coarse.spacing)
    depth = depth[1:-1, 1:-1, 1:-1].astype(np.float32) - np.float32(coarse.spacing / 2)
    away = distance_transform_edt(bone_shares(coarse, bones) < 0.3, sampling=coarse.spacing).astype(np.float32)
    nodes = coarse.nodes().astype(np.float32)
    fat_depth = style.fat * (1.0 + 0.35 * _cloud(coarse, 14.0, rng)) + _pads(nodes, bones)
    muscles = _muscles(nodes, bones) + 0.3 * _cloud(coarse, 9.0, rng)
    flesh = _sigmoid((depth - fat_depth) / 0.8) * _sigmoid((muscles - 0.5) / 0.08) * (1.0 - _kager(nodes, bones))
    fat = refine(1.0 - flesh, fine, coarse)
    sheets = np.exp(-((refine(_cloud(coarse, 8.0, rng), fine, coarse) / 0.14) ** 2))
    strands = np.exp(-((refine(_cloud(coarse, 3.6, rng), fine, coarse) / 0.22) ** 2))
    muscle = MUSCLE + 8.0 * refine(_cloud(coarse, 5.0, rng), fine, coarse)
    muscle -= style.septa * (MUSCLE - FAT) * 0.8 * sheets
    # Fat is parted into lobules by septa of connective tissue.
    hu = muscle + fat * (FAT + 0.3 * (MUSCLE - FAT) * strands - muscle)
    near = np.clip(1.5 - refine(away, fine, coarse) / _CAPSULE, 0.0, 1.0)
    hu += near * (CARTILAGE - hu)
    tendon = refine(_tendon(nodes, bones), fine, coarse)
    hu += tendon * (TENDON - hu)
    return refine(hu, grid, fine).copy()


def _padded(inside: np.ndarray) -> np.ndarray:
    """With a border of outside; above, the leg goes on."""
    padded = np.pad(inside, 1)
    padded[:, :, -1] = padded[:, :, -2]
    return padded


def _sigmoid(x: np.ndarray) -> np.ndarray:
    return 1.0 / (1.0 + np.exp(np.clip(-x, -30, 30)))


def _cloud(grid: VoxelGrid, size: float, rng: np.random.Generator) -> np.ndarray:
    """Smooth noise of unit variance (nx, ny, nz) with structures of about ``size`` mm."""
    from scipy.ndimage import gaussian_filter

    factor = max(int(size / 2.5 / grid.spacing), 1)
    shape = tuple(-(-(n - 1) // factor) + 1 for n in grid.shape)
    noise = gaussian_filter(rng.standard_normal(shape, dtype=np.float32), size / 2.5 / factor / grid.spacing)
    noise /= max(float(noise.std()), 1e-9)
    return refine(noise, grid, VoxelGrid(grid.origin, factor * grid.spacing, shape))


def _muscles(nodes: np.ndarray, bones: Mapping[str, Bone]) -> np.ndarray:
    """How likely a place below the subcutaneous fat is muscle rather than fat with tendons, about 0 to 1.

    Muscles fill the leg above the ankle and the sole between heel and metatarsal heads; around the ankle, on the instep
    and in the toes there is fat with tendons in it.
    """
    likely = np.full(nodes.shape[:3], 0.3, dtype=np.float32)
    if "tibia" in bones:
        ankle = bones["tibia"].vertices[:, 2].min()
        likely = np.maximum(likely, np.clip((nodes[..., 2] - ankle - 10.0) / 40.0, 0.0, 1.0) * 0.95)
    metatarsals = [bone.vertices for name, bone in bones.items() if name.startswith("metatarsal")]
    if metatarsals and "calcaneus" in bones:
        heel = bones["calcaneus"].vertices
        front = np.mean([points[:, 1].max() for points in metatarsals])
        ends = np.clip((nodes[..., 1] - heel[:, 1].min() - 22.0) / 15.0, 0, 1) * np.clip(
            (front - nodes[..., 1]) / 15.0, 0, 1
        )
        share = np.clip((nodes[..., 1] - heel[:, 1].mean()) / (front - heel[:, 1].mean()), 0.0, 1.0)
        # The upper side of the foot sinks from the ankle to the toes; muscle lies below the bones and between them.
        roof = np.percentile(heel[:, 2], 55) * (1.0 - share) + (12.0 + np.percentile(metatarsals[0][:, 2], 50)) * share
        likely = np.maximum(likely, 0.9 * ends * np.clip((roof - nodes[..., 2]) / 6.0 + 0.5, 0.0, 1.0))
    return likely


def _pads(nodes: np.ndarray, bones: Mapping[str, Bone]) -> np.ndarray:
    """Extra depth of fat in mm under the heel and the ball of the foot, and around the toes."""
    extra = np.zeros(nodes.shape[:3], dtype=np.float32)
    if "calcaneus" in bones:
        heel = bones["calcaneus"].vertices
        back = heel[heel[:, 1] < np.percentile(heel[:, 1], 25)]
        low = back[np.argmin(back[:, 2])]
        extra += 14.0 * _blob(nodes, (low[0], low[1] + 6.0, 0.0), (26.0, 32.0, low[2] + 12.0))
    heads = [bone.vertices for name, bone in bones.items() if name.startswith("metatarsal")]
    if heads:
        front = np.array([points[points[:, 1] > points[:, 1].max() - 12.0].mean(axis=0) for points in heads])
        extra += 6.0 * _blob(nodes, (*front.mean(axis=0)[:2], 0.0), (48.0, 22.0, 12.0))
        extra += 8.0 * (nodes[..., 1] > front[:, 1].mean() + 12.0)
    return extra


def _blob(nodes: np.ndarray, centre: tuple[float, ...], widths: tuple[float, ...]) -> np.ndarray:
    """1 in the middle of an ellipsoid, falling to a third at its half ``widths`` and to nothing beyond."""
    offset = (nodes - np.asarray(centre, dtype=np.float32)) / np.asarray(widths, dtype=np.float32)
    return np.exp(-((offset**2).sum(axis=-1) ** 2)).astype(np.float32)


def _achilles(bones: Mapping[str, Bone]) -> tuple[np.ndarray, np.ndarray] | None:
    """From where the Achilles tendon inserts to where it leaves a foot's view: two points (3,)."""
    if "calcaneus" not in bones or "tibia" not in bones:
        return None
    heel, tibia = bones["calcaneus"].vertices, bones["tibia"].vertices
    insertion = heel[np.argmin(heel[:, 1] - 0.3 * heel[:, 2])] + (0.0, -2.0, 0.0)
    floor = tibia[:, 2].min()
    level = tibia[np.abs(tibia[:, 2] - floor - 60.0) < 12.0]
    if not len(level):
        return None
    back = np.array([level[:, 0].mean() + 4.0, level[:, 1].mean() - 34.0, floor + 60.0])
    return insertion, back + 1.5 * (back - insertion)


def _distance_to_line(nodes: np.ndarray, start: np.ndarray, end: np.ndarray) -> np.ndarray:
    """Distance in mm (...) of nodes (..., 3) to the stretch between two points."""
    along = end - start
    share = np.clip(((nodes - start) @ along) / (along @ along), 0.0, 1.0)
    return np.linalg.norm(nodes - start - share[..., None] * along, axis=-1)


def _tendon(nodes: np.ndarray, bones: Mapping[str, Bone]) -> np.ndarray:
    """1 within the Achilles tendon (about 6 mm thick, 14 mm broad), 0 outside."""
    ends = _achilles(bones)
    if ends is None:
        return np.zeros(nodes.shape[:3], dtype=np.float32)
    flatten = np.array([0.45, 1.0, 1.0])
    distance = _distance_to_line(nodes * flatten, ends[0] * flatten, ends[1] * flatten)
    return _sigmoid((3.2 - distance) / 0.7).astype(np.float32)


def _kager(nodes: np.ndarray, bones: Mapping[str, Bone]) -> np.ndarray:
    """1 within Kager's fat pad: before the Achilles tendon, above the calcaneus, behind the ankle."""
    ends = _achilles(bones)
    if ends is None:
        return np.zeros(nodes.shape[:3], dtype=np.float32)
    forward = np.array([0.0, 11.0, 0.0])
    middle = ends[0] + 0.28 * (ends[1] - ends[0])
    distance = _distance_to_line(nodes, ends[0] + forward + (0, 2, 4), middle + forward)
    return (0.9 * _sigmoid((8.0 - distance) / 1.5)).astype(np.float32)
