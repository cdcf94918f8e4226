"""A weight-bearing cone-beam CT of a posed foot: int16 Hounsfield units in LPS space, with its landmarks.

Bones, cortex and skin are put on a voxel grid exactly (the share of each voxel that lies inside a mesh), filled with
tissue, seen by a scanner with its errors, and turned into patient space::

    volume = simulate_wbct(foot, tissue, np.random.default_rng(1), spacing=0.5)
    volume.write("foot.nrrd")
    volume.points["C1"]                # (3,) LPS mm
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from orthoangles.errors import SimulationError
from orthoangles.simulation.anatomy.bone_frames import foot_axes, leg_axes
from orthoangles.simulation.anatomy.bones import METATARSALS, Bone
from orthoangles.simulation.anatomy.landmark_rules_ankle import highest_shaft_centre
from orthoangles.simulation.pose.posed_foot import PosedFoot
from orthoangles.simulation.tissue.tissue import FootTissue
from orthoangles.simulation.tomography import ct_artefacts as scanner
from orthoangles.simulation.tomography.hounsfield import (
    AIR,
    BoneContents,
    TrabecularTexture,
    VoxelGrid,
    paint_bone,
    refine,
)
from orthoangles.simulation.tomography.implants import Rod, paint_implants, random_implants
from orthoangles.simulation.tomography.soft_tissue import paint_soft_tissue
from orthoangles.simulation.tomography.volume_style import VolumeStyle, random_volume_style

_ARTEFACT_STEP = 2.5  # mm between the nodes on which the scanner's errors are computed
_HIGHEST = 3071  # HU: 12 bits, as scanners store
_LARGEST = 400_000_000  # voxels


@dataclass(frozen=True, eq=False)
class Volume:
    """A simulated WBCT.

    ``array`` (slices, rows, columns) int16 HU; ``spacing`` mm (3,), ``origin`` (3,) LPS mm of voxel (0, 0, 0),
    ``direction`` (3, 3) the axes as columns (always along the patient's); ``points`` id -> (3,) LPS mm and ``visible``
    id -> whether it lies in the field of view; ``side``; ``parameters`` JSON types.
    """

    array: np.ndarray
    spacing: np.ndarray
    origin: np.ndarray
    direction: np.ndarray
    points: Mapping[str, np.ndarray]
    visible: Mapping[str, bool]
    side: str
    parameters: Mapping[str, Any] = field(default_factory=dict)

    def write(self, path: Path | str) -> None:
        """Write NRRD, NIfTI or MetaImage, as the suffix says. Raises SimulationError when it cannot be written."""
        import SimpleITK

        image = SimpleITK.GetImageFromArray(self.array)
        image.SetSpacing([float(v) for v in self.spacing])
        image.SetOrigin([float(v) for v in self.origin])
        image.SetDirection([float(v) for v in self.direction.ravel()])
        try:
            SimpleITK.WriteImage(image, str(path), useCompression=True)
        except RuntimeError as error:
            raise SimulationError(
                f"{Path(path).name}: cannot be written; use .nrrd or .nii.gz and a folder that exists."
            ) from error


@dataclass(frozen=True)
class _Scene:
    """Everything in view, in the frame of the scanner: the standing frame, the foot turned in it."""

    bones: Mapping[str, Bone]
    inner: Mapping[str, np.ndarray]
    skin: tuple[np.ndarray, np.ndarray]
    landmarks: Mapping[str, np.ndarray]

    def mirrored(self, distance: float) -> "_Scene":
        """The other foot, ``distance`` mm medial."""
        flip, shift = np.array([-1.0, 1.0, 1.0]), np.array([-distance, 0.0, 0.0])
        bones = {name: bone.mirrored().moved(np.eye(3), shift) for name, bone in self.bones.items()}
        inner = {name: vertices * flip + shift for name, vertices in self.inner.items()}
        vertices, faces = self.skin
        return _Scene(bones, inner, (vertices * flip + shift, np.ascontiguousarray(faces[:, ::-1])), {})


def simulate_wbct(
    foot: PosedFoot,
    tissue: FootTissue,
    rng: np.random.Generator,
    *,
    spacing: float = 0.5,
    style: VolumeStyle | None = None,
) -> Volume:
    """Scan ``foot``: voxels of ``spacing`` mm (0.3 to 1); ``style`` is drawn from ``rng`` where it is not given.

    A left foot is the exact mirror image of the same foot as a right one. Raises SimulationError when the field of view
    is empty or larger than memory should bear.
    """
    style = random_volume_style(rng) if style is None else style
    scene = _turned(foot, tissue, style.turn)
    grid = _grid(scene, style, spacing, tissue.top)
    view = _field_of_view(grid, style, rng)
    rods = random_implants(foot.bones, rng) if style.metal else ()
    hu = _painted(grid, scene, tissue, style, _turned_rods(rods, style.turn), rng)
    hu = _scanned(hu, grid, view, style, rng)
    return _in_patient_space(hu, grid, view, scene, foot, style, rods)


def _rotation(turn: float) -> np.ndarray:
    """About the vertical; the toes go to lateral (+x) for positive degrees."""
    c, s = np.cos(np.radians(turn)), np.sin(np.radians(turn))
    return np.array([[c, s, 0.0], [-s, c, 0.0], [0.0, 0.0, 1.0]])


def _turned(foot: PosedFoot, tissue: FootTissue, turn: float) -> _Scene:
    rotation = _rotation(turn)
    bones = {name: bone.moved(rotation, np.zeros(3)) for name, bone in foot.bones.items()}
    inner = {name: vertices @ rotation.T for name, vertices in tissue.inner.items()}
    landmarks = {name: rotation @ np.asarray(point, dtype=np.float64) for name, point in foot.landmarks.items()}
    return _Scene(bones, inner, (tissue.skin[0] @ rotation.T, tissue.skin[1]), landmarks)


def _turned_rods(rods: tuple[Rod, ...], turn: float) -> list[Rod]:
    rotation = _rotation(turn)
    return [replace(rod, start=tuple(rotation @ rod.start), end=tuple(rotation @ rod.end)) for rod in rods]


def _grid(scene: _Scene, style: VolumeStyle, spacing: float, top: float) -> VoxelGrid:
    """The box of voxels: about the foot below ``height``, cut as the view says."""
    skin = scene.skin[0]
    upper = min(style.height, top - 3.0)
    shown = skin[skin[:, 2] <= upper]
    if not len(shown) or not 0.05 <= spacing <= 5.0:
        raise SimulationError(
            f"WBCT: nothing of the foot lies below {upper:.0f} mm at spacing {spacing}; check the style."
        )
    low, high = shown.min(axis=0) - style.margin, shown.max(axis=0) + style.margin
    low[2], high[2] = -sum(thickness for thickness, _ in style.floor) - 4.0, upper
    heads = np.mean(
        [bone.vertices[:, 1].max() for name, bone in scene.bones.items() if name in METATARSALS] or [high[1]]
    )
    talus = scene.bones["talus"].centroid[1] if "talus" in scene.bones else 0.0
    if style.view == "ankle":
        heel = scene.bones["calcaneus"].vertices[:, 1].min() if "calcaneus" in scene.bones else low[1]
        low[1], high[1] = heel - 8.0 - style.margin, talus + 0.62 * (heads - talus)
        # Scanners of ankles see a square.
        wider = max((high[1] - low[1]) - (high[0] - low[0]), 0.0) / 2
        low[0], high[0] = low[0] - wider, high[0] + wider
    elif style.view == "forefoot":
        low[1] = talus + 0.1 * (heads - talus)
    elif style.view == "both":
        low[0] = -(style.neighbour or 150.0) - (high[0] - style.margin) - style.margin
    if style.neighbour is not None and style.view != "both":
        low[0] -= 0.35 * max(style.neighbour - 80.0, 0.0)
    shape = tuple(int(n) for n in np.ceil((high - low) / spacing) + 1)
    if np.prod(shape, dtype=float) > _LARGEST:
        raise SimulationError(f"WBCT: {' x '.join(map(str, shape))} voxels are too many; take a larger spacing.")
    return VoxelGrid(low, float(spacing), shape)


def _field_of_view(grid: VoxelGrid, style: VolumeStyle, rng: np.random.Generator) -> scanner.FieldOfView:
    extent = grid.spacing * (np.array(grid.shape) - 1)
    centre = grid.origin + extent / 2
    radius = 1e6
    if style.cylinder is not None:
        radius = style.cylinder * float(np.hypot(extent[0], extent[1])) / 2
        centre = centre + np.array([*rng.uniform(-0.03, 0.03, 2), 0.0]) * extent
    low, high = float(grid.origin[2]), float(grid.origin[2] + extent[2])
    return scanner.FieldOfView((float(centre[0]), float(centre[1])), radius, low - 1e-6, high + 1e-6, style.cone_slope)


def _painted(
    grid: VoxelGrid, scene: _Scene, tissue: FootTissue, style: VolumeStyle, rods: list[Rod], rng: np.random.Generator
) -> np.ndarray:
    """HU (nx, ny, nz) float32 that an ideal scanner would see."""
    texture = TrabecularTexture(rng, grid.spacing, style.strut_spacing, style.strut_contrast)
    contents = BoneContents(style.cortex, style.density, texture)
    scenes = [scene] if style.neighbour is None else [scene, scene.mirrored(style.neighbour)]
    hu = None
    for one in scenes:
        layer = _foot(grid, one, tissue, style, contents, rng)
        if layer is None:
            continue
        window, values = layer
        if hu is None:
            hu = np.full(grid.shape, AIR, dtype=np.float32)
        np.maximum(hu[window], values, out=hu[window])
    if hu is None:
        raise SimulationError("WBCT: no part of the foot lies in the field of view; check the style.")
    paint_implants(hu, grid, rods)
    _paint_floor(hu, grid, style)
    return hu


def _foot(
    grid: VoxelGrid,
    scene: _Scene,
    tissue: FootTissue,
    style: VolumeStyle,
    contents: BoneContents,
    rng: np.random.Generator,
) -> tuple[tuple[slice, slice, slice], np.ndarray] | None:
    found = grid.around(scene.skin[0])
    if found is None:
        return None
    part, window = found
    hu = paint_soft_tissue(part, scene.skin, scene.bones, style.soft, rng)
    for name, bone in scene.bones.items():
        paint_bone(hu, part, bone, scene.inner[name], tissue.joint_gap[name], tissue.thickness[name], contents)
    return window, hu


def _paint_floor(hu: np.ndarray, grid: VoxelGrid, style: VolumeStyle) -> None:
    """Layers of the plate below z = 0, over the whole field."""
    z = grid.origin[2] + grid.spacing * np.arange(grid.shape[2])
    upper = 0.0
    for thickness, value in style.floor:
        lower = upper - thickness
        share = np.clip(
            (np.minimum(upper, z + grid.spacing / 2) - np.maximum(lower, z - grid.spacing / 2)) / grid.spacing, 0, 1
        )
        for k in np.flatnonzero(share):
            hu[:, :, k] += np.float32(share[k]) * (np.float32(value) - np.float32(AIR))
        upper = lower


def _scanned(
    hu: np.ndarray, grid: VoxelGrid, view: scanner.FieldOfView, style: VolumeStyle, rng: np.random.Generator
) -> np.ndarray:
    """What the scanner makes of it."""
    if style.motion is not None:
        way = rng.standard_normal(3) * (1.0, 1.0, 0.4)
        way *= style.motion[0] / grid.spacing / np.linalg.norm(way)
        hu = scanner.smear(hu, tuple(int(v) for v in np.rint(way)), style.motion[1])
    scanner.blur(hu, style.blur / grid.spacing)
    if style.edge:
        soft = hu.copy()
        scanner.blur(soft, 0.8 / grid.spacing)
        soft -= hu
        hu -= np.float32(style.edge) * soft
    axis = tuple((view.centre[i] - grid.origin[i]) / grid.spacing for i in range(2))
    if style.detector is not None or style.noise:
        _add_errors(hu, grid, axis, style, rng)
    if style.rings:
        scanner.add_rings(hu, axis, style.rings, rng)
    if style.gain != 1.0 or style.offset:
        hu *= np.float32(style.gain)
        hu += np.float32(1000.0 * style.gain - 1000.0 + style.offset)
    x, y, z = (grid.origin[i] + grid.spacing * np.arange(grid.shape[i]) for i in range(3))
    if view.radius < 1e6 or view.slope:
        view.hide(hu, x, y, z, style.fill)
    return np.clip(hu, min(style.fill, AIR), _HIGHEST, out=hu)


def _add_errors(
    hu: np.ndarray, grid: VoxelGrid, axis: tuple[float, float], style: VolumeStyle, rng: np.random.Generator
) -> None:
    coarse = grid.coarse(_ARTEFACT_STEP)
    factor = round(coarse.spacing / grid.spacing)
    centre = (axis[0] / factor, axis[1] / factor)
    detector = style.detector or scanner.Detector(0.0, 0.0)
    errors, growth = scanner.reconstructed_errors(_averaged(hu, coarse, factor), coarse.spacing, centre, detector, rng)
    if style.detector is not None:
        hu += refine(errors, grid, coarse)
    if style.noise:
        block = scanner.noise_block(rng, grid.spacing, style.noise_cutoff)
        offset = tuple(int(v) for v in rng.integers(0, block.shape))
        scanner.add_tiled(hu, block, refine(growth * np.float32(style.noise), grid, coarse), offset)


def _averaged(hu: np.ndarray, coarse: VoxelGrid, factor: int) -> np.ndarray:
    """Mean of the voxels about each coarse node (nx, ny, nz), the border repeated."""
    import torch

    if factor == 1:
        return hu
    size = factor - 1 + factor % 2  # odd: centred on the node
    values = torch.from_numpy(hu)[None, None]
    pooled = torch.nn.functional.avg_pool3d(values, size, stride=factor, padding=size // 2, count_include_pad=False)
    pooled = pooled[0, 0].numpy()
    missing = [(0, n - m) for n, m in zip(coarse.shape, pooled.shape, strict=True)]
    return np.pad(pooled, missing, mode="edge") if any(after for _, after in missing) else pooled


def _tibial_shaft(scene: _Scene, shows: Callable[[np.ndarray], np.ndarray]) -> dict[str, np.ndarray]:
    """T1 of a scan that ends below its level: the protocol has it at the highest level that shows the whole shaft."""
    if "T1" not in scene.landmarks:
        return {}
    centre = highest_shaft_centre(scene.bones["tibia"], leg_axes(scene.bones, foot_axes(scene.bones)), shows)
    return {} if centre is None else {"T1": centre}


def _in_patient_space(
    hu: np.ndarray,
    grid: VoxelGrid,
    view: scanner.FieldOfView,
    scene: _Scene,
    foot: PosedFoot,
    style: VolumeStyle,
    rods: tuple[Rod, ...],
) -> Volume:
    """To LPS: lateral of a right foot is the patient's right, -x; anterior is -y; up is superior, +z."""
    last = grid.origin + grid.spacing * (np.array(grid.shape) - 1)

    def shows(points: np.ndarray) -> np.ndarray:
        return ((points >= grid.origin) & (points <= last)).all(axis=-1) & view.holds(points)

    landmarks = {**scene.landmarks, **_tibial_shaft(scene, shows)}
    left = foot.side == "L"
    voxels = np.rint(hu, out=hu).astype(np.int16).transpose(2, 1, 0)[:, ::-1]
    array = np.ascontiguousarray(voxels if left else voxels[:, :, ::-1])
    to_lps = np.array([1.0 if left else -1.0, -1.0, 1.0])
    origin = np.array([grid.origin[0] if left else -last[0], -last[1], grid.origin[2]])
    points = {name: point * to_lps for name, point in landmarks.items()}
    visible = {name: bool(shows(point)) for name, point in landmarks.items()}
    parameters = {
        "spacing": grid.spacing,
        "style": style.as_json(),
        "metal": [rod.as_json() for rod in rods],
        "field_of_view": {"centre": list(view.centre), "radius": view.radius, "slope": view.slope},
    }
    return Volume(array, np.full(3, grid.spacing), origin, np.eye(3), points, visible, foot.side, parameters)
