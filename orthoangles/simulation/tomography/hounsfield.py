"""Hounsfield units of a foot's tissues on a voxel grid, before the scanner adds its errors.

Values are those of an ideal scanner (water 0, air -1000). Published ranges: fat -100 to -50, muscle 45 to 65, bone 700
to 3000 (Buzug, Computed Tomography, 2008). The mean trabecular density of each bone and its pattern are inferred.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from orthoangles.simulation.anatomy.bones import Bone
from orthoangles.simulation.radiography.rasterising import column_occupancy

AIR = -1000.0
FAT = -95.0
MUSCLE = 55.0
SKIN = 40.0
TENDON = 90.0
CARTILAGE = 75.0
MARROW = -60.0
"""Fatty marrow of an adult's foot (inferred: fat with some water)."""

# Mean HU of trabecular bone above that of marrow (inferred; talus densest, calcaneus and shafts least).
_TRABECULAR = {
    "tibia": 430.0,
    "fibula": 360.0,
    "talus": 620.0,
    "calcaneus": 400.0,
    "navicular": 540.0,
    "cuboid": 430.0,
    "medial_cuneiform": 470.0,
    "intermediate_cuneiform": 500.0,
    "lateral_cuneiform": 480.0,
    "metatarsal_1": 440.0,
}
_OTHER_TRABECULAR = 420.0
_JOINT_LAYER = 7.0  # mm below a joint in which trabeculae are densest (inferred)
_STRETCH = 4.0  # trabeculae are so many times longer than apart (inferred)
# Contrast and size of the texture by bone: large struts and voids in the calcaneus, a fine grain in the talus (inferred
# from the real scan).
_GRAIN = {"calcaneus": (1.15, 1.0), "talus": (0.6, 0.85), "navicular": (0.65, 0.85), "tibia": (0.65, 0.9)}
_OTHER_GRAIN = (0.7, 0.95)
_UNEVEN = 8.0  # compact bone varies over about so many mm (inferred)
_COARSE = 2.5  # mm between the nodes on which density is told


@dataclass(frozen=True)
class VoxelGrid:
    """Cubic voxels along the standing frame; ``origin`` (3,) mm is the centre of voxel (0, 0, 0)."""

    origin: np.ndarray
    spacing: float
    shape: tuple[int, int, int]

    def occupancy(self, vertices: np.ndarray, faces: np.ndarray, slabs: int = 1) -> np.ndarray:
        """Share (nx, ny, nz) float32 of each voxel inside the closed mesh, computed in slabs to save memory."""
        steps = (self.spacing,) * 3
        cuts = np.linspace(0, self.shape[0], slabs + 1).astype(int)
        parts = []
        for first, last in pairwise(cuts):
            origin = self.origin + np.array([first * self.spacing, 0.0, 0.0])
            parts.append(column_occupancy(vertices, faces, origin, steps, (int(last - first), *self.shape[1:])))
        return parts[0] if slabs == 1 else np.concatenate(parts)

    def around(self, vertices: np.ndarray) -> tuple["VoxelGrid", tuple[slice, slice, slice]] | None:
        """The part of the grid about ``vertices`` (n, 3) and its slices; None where they lie outside."""
        low = np.floor((vertices.min(axis=0) - self.origin) / self.spacing).astype(int) - 1
        high = np.ceil((vertices.max(axis=0) - self.origin) / self.spacing).astype(int) + 2
        low, high = np.clip(low, 0, self.shape), np.clip(high, 0, self.shape)
        if (high <= low).any():
            return None
        part = VoxelGrid(self.origin + low * self.spacing, self.spacing, tuple(int(n) for n in high - low))
        return part, tuple(slice(int(a), int(b)) for a, b in zip(low, high, strict=True))

    def coarse(self, step: float) -> "VoxelGrid":
        """A grid of about ``step`` mm whose first and last nodes are those of this one, or beyond them."""
        factor = max(round(step / self.spacing), 1)
        shape = tuple(-(-(n - 1) // factor) + 1 for n in self.shape)
        return VoxelGrid(self.origin, factor * self.spacing, shape)

    def nodes(self) -> np.ndarray:
        """Positions (nx, ny, nz, 3) mm."""
        axes = [self.origin[axis] + self.spacing * np.arange(self.shape[axis]) for axis in range(3)]
        return np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1)


def refine(values: np.ndarray, fine: VoxelGrid, coarse: VoxelGrid) -> np.ndarray:
    """Trilinear interpolation (float32) of ``values`` on ``coarse = fine.coarse(...)`` at the voxels of ``fine``."""
    import torch

    factor = round(coarse.spacing / fine.spacing)
    if factor == 1:
        return np.ascontiguousarray(values, dtype=np.float32)
    size = [(n - 1) * factor + 1 for n in coarse.shape]
    full = torch.nn.functional.interpolate(
        torch.from_numpy(np.ascontiguousarray(values, dtype=np.float32))[None, None],
        size=size,
        mode="trilinear",
        align_corners=True,
    )[0, 0].numpy()
    return full[: fine.shape[0], : fine.shape[1], : fine.shape[2]]


class TrabecularTexture:
    """A periodic block of trabeculae: sheets and struts about a millimetre apart, as bright as their mean is 1.

    Struts are where a band-limited random field is near zero, which gives walls and arches rather than blobs.
    """

    step = 0.3  # mm

    def __init__(self, rng: np.random.Generator, voxel: float, spacing: float = 1.15, contrast: float = 1.0) -> None:
        """``voxel`` mm of the grid it is drawn on (finer detail is averaged out), ``spacing`` mm between struts."""
        from scipy.fft import irfftn, rfftn

        count = 128
        noise = rng.standard_normal((count,) * 3, dtype=np.float32)
        spectrum = rfftn(noise)
        full, half = np.fft.fftfreq(count, self.step), np.fft.rfftfreq(count, self.step)
        f = np.sqrt(sum(np.square(axis) for axis in np.meshgrid(full, full, half, indexing="ij", sparse=True)))
        # Walls stand at both zero crossings of a period: the field's own period is twice the struts' spacing.
        centre = 0.5 / spacing
        field = irfftn(spectrum * np.exp(-0.5 * ((f - centre) / (0.35 * centre)) ** 2), s=noise.shape)
        field /= field.std()
        struts = np.exp(-((field / 0.4) ** 2)).astype(np.float32)
        blur = np.exp(-2.0 * (np.pi * f * 0.4 * max(voxel, self.step)) ** 2)
        struts /= struts.mean()
        # Patches denser than others are told by the bone's own density, not by chance.
        blur *= 1.0 - np.exp(-((f * spacing / 0.35) ** 2))
        struts = 1.0 + irfftn(rfftn(struts) * blur, s=noise.shape).astype(np.float32)
        self.block = 1.0 + np.float32(contrast) * (struts - 1.0)
        self.shift = rng.uniform(0, count * self.step, 3)

    def at(self, points: np.ndarray) -> np.ndarray:
        """Texture (n,) float32 at ``points`` (n, 3) mm."""
        count = np.float32(self.block.shape[0])
        place = (points.astype(np.float32) + self.shift.astype(np.float32)) / np.float32(self.step)
        place -= np.floor(place / count) * count
        low = np.minimum(place.astype(np.int32), int(count) - 1)
        share = place - low
        high = np.where(low + 1 == int(count), 0, low + 1)
        block = self.block
        out = np.zeros(len(points), dtype=np.float32)
        for corner in range(8):
            index = [high[:, axis] if corner >> axis & 1 else low[:, axis] for axis in range(3)]
            weight = np.ones(len(points), dtype=np.float32)
            for axis in range(3):
                weight *= share[:, axis] if corner >> axis & 1 else 1.0 - share[:, axis]
            out += weight * block[index[0], index[1], index[2]]
        return out


@dataclass(frozen=True)
class BoneContents:
    """What :func:`paint_bone` needs beside the surfaces: HU of compact bone, factor on trabecular density, texture."""

    cortex: float
    density: float
    texture: TrabecularTexture


def paint_bone(
    hu: np.ndarray,
    grid: VoxelGrid,
    bone: Bone,
    inner: np.ndarray,
    gap: np.ndarray,
    wall: np.ndarray,
    contents: BoneContents,
) -> None:
    """Put one bone into ``hu`` (nx, ny, nz): cortex between its surface and ``inner`` (n, 3), trabeculae inside.

    ``gap`` and ``wall`` (n,): joint gap and cortical thickness in mm at the vertices, as in FootTissue.
    """
    found = grid.around(bone.vertices)
    if found is None:
        return
    part, window = found
    outer = part.occupancy(bone.vertices, bone.faces)
    marrow = part.occupancy(inner, bone.faces)
    coarse = part.coarse(_COARSE)
    density, compact = _density(bone, gap, wall, coarse)
    uneven = contents.texture.at(coarse.nodes().reshape(-1, 3) / np.float32(_UNEVEN)).reshape(coarse.shape)
    compact = compact * np.clip(1.0 + 0.3 * (uneven - 1.0), 0.75, 1.25)
    cortex = refine(compact * contents.cortex, part, coarse)
    view = hu[window]
    view += outer * (cortex - view)
    inside = np.nonzero(marrow.ravel() > 1e-3)[0]
    if not len(inside):
        return
    density = refine(density, part, coarse).ravel()[inside]
    index = np.stack(np.unravel_index(inside, part.shape), axis=-1)
    points = part.origin.astype(np.float32) + index.astype(np.float32) * np.float32(part.spacing)
    contrast, coarseness = _GRAIN.get(bone.name, _OTHER_GRAIN)
    along, across = _trabecular_coordinates(bone, points)
    texture = contents.texture.at(np.column_stack([across, along / _STRETCH]) / np.float32(coarseness))
    crossing = np.column_stack([across[:, 0] / _STRETCH, across[:, 1], along]) / np.float32(coarseness)
    texture = np.float32(0.85) * texture + np.float32(0.35) * contents.texture.at(crossing + np.float32(11.0))
    texture -= np.float32(0.2)
    texture = np.float32(1.0) + np.float32(contrast) * (texture - np.float32(1.0))
    trabecular = np.float32(MARROW) + np.float32(contents.density) * density * texture
    cortex = cortex.ravel()[inside]
    flat = np.zeros(marrow.size, dtype=np.float32)
    flat[inside] = marrow.ravel()[inside] * (np.minimum(trabecular, cortex) - cortex)
    view += flat.reshape(marrow.shape)


def _density(bone: Bone, gap: np.ndarray, wall: np.ndarray, coarse: VoxelGrid) -> tuple[np.ndarray, np.ndarray]:
    """Mean trabecular HU above marrow, and compact bone's share of its full HU, on the nodes (nx, ny, nz).

    Trabeculae are dense below joints and next to the cortex, sparse in shafts and in the calcaneus' neutral triangle.
    """
    from scipy.spatial import cKDTree

    nodes = coarse.nodes().reshape(-1, 3)
    away, nearest = cKDTree(bone.vertices).query(nodes)
    density = np.full(len(nodes), _TRABECULAR.get(bone.name, _OTHER_TRABECULAR))
    density *= 0.75 + 0.75 * np.exp(-away / 2.2)
    joint = bone.vertices[gap < 3.0]
    if len(joint):
        depth, _ = cKDTree(joint).query(nodes, distance_upper_bound=4 * _JOINT_LAYER)
        density *= 0.8 + 0.7 * np.exp(-depth / _JOINT_LAYER)
    if bone.name.startswith(("tibia", "fibula", "metatarsal", "proximal_phalanx", "toe")):
        # A wall thicker than at the ends tells the shaft, where the canal holds marrow and few trabeculae.
        ends, shaft = np.percentile(wall, (20, 92))
        canal = np.clip((wall[nearest] - ends) / max(shaft - ends, 0.2), 0.0, 1.0) * (gap[nearest] > 3.9)
        density *= 1.0 - 0.92 * canal
    if bone.name == "calcaneus":
        density *= 1.0 - 0.75 * np.exp(-_neutral_triangle(bone, nodes))
    # Thin shells are porous: only walls of a shaft's thickness are as dense as compact bone (inferred).
    compact = np.interp(wall[nearest], (0.4, 2.2), (0.44, 1.0))
    return density.reshape(coarse.shape), compact.reshape(coarse.shape)


def _neutral_triangle(bone: Bone, nodes: np.ndarray) -> np.ndarray:
    """Squared distance from the middle of Ward's neutral triangle of the calcaneus, in its half widths.

    It lies below the angle of Gissane, two thirds forward along the bone (place and size inferred from the real scan).
    """
    low, high = bone.vertices.min(axis=0), bone.vertices.max(axis=0)
    extent = high - low
    slab = bone.vertices[np.abs(bone.vertices[:, 1] - (low[1] + 0.6 * extent[1])) < 0.06 * extent[1]]
    middle = slab.mean(axis=0) if len(slab) else 0.5 * (low + high)
    middle = middle - np.array([0.0, 0.0, 0.05 * extent[2]])
    widths = np.array([0.24, 0.2, 0.22]) * extent
    return (((nodes - middle) / widths) ** 2).sum(axis=-1)


def _trabecular_coordinates(bone: Bone, points: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Where ``points`` (n, 3) lie along the way trabeculae run (n,) and across it (n, 2), in mm, float32.

    Along the axis of long bones, steeply down and forward in the talus; in the calcaneus like rays from above the
    posterior facet (its compressive bundle, as lateral radiographs show).
    """
    if bone.name == "calcaneus":
        top = bone.vertices[bone.vertices[:, 2] > np.quantile(bone.vertices[:, 2], 0.95)].mean(axis=0)
        offset = points - (top + np.array([0.0, 12.0, 25.0])).astype(np.float32)
        along = np.linalg.norm(offset, axis=1)
        turn = np.arctan2(offset[:, 1], -offset[:, 2])
        return along, np.column_stack([offset[:, 0], turn * np.float32(45.0)])
    if bone.name in ("talus", "navicular"):
        axis = np.array([0.0, 0.45, 0.893])
    else:
        centred = bone.vertices - bone.vertices.mean(axis=0)
        axis = np.linalg.eigh(centred.T @ centred)[1][:, -1]
    frame = np.linalg.svd(axis[None])[2].astype(np.float32)
    return points @ frame[0], points @ frame[1:].T


def bone_shares(grid: VoxelGrid, bones: Mapping[str, Bone]) -> np.ndarray:
    """Share (nx, ny, nz) of each voxel that lies in any bone, at most 1."""
    shares = np.zeros(grid.shape, dtype=np.float32)
    for bone in bones.values():
        found = grid.around(bone.vertices)
        if found is not None:
            part, window = found
            shares[window] += part.occupancy(bone.vertices, bone.faces)
    return np.minimum(shares, 1.0)
