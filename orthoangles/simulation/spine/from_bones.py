"""An AP whole-spine radiograph of real bone meshes: posed along a scoliotic curve, projected, exposed.

Bones are shells of cortex around trabecular bone, and a ray's attenuation comes from its exact path lengths through
them. The soft tissue, lungs and gas around them are those of the drawn spine, laid around the projected vertebrae.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from orthoangles.simulation.radiography.cameras import Camera
from orthoangles.simulation.radiography.rasterising import path_crops
from orthoangles.simulation.spine.bones_pose import PosedTrunk, Posture, SpineBones, pose_trunk
from orthoangles.simulation.spine.drawn import SimulatedSpine, View, field_of_view, soft_tissue
from orthoangles.simulation.spine.exposure import expose
from orthoangles.simulation.spine.pose import SpinePose, random_pose
from orthoangles.simulation.spine.strokes import Strokes
from orthoangles.simulation.spine.trunk import Trunk

SOURCE_DISTANCE = 1800.0
"""Source to detector in mm: whole-spine radiographs are taken at about 1.8 m (inferred)."""
_CORTICAL, _TRABECULAR = 0.040, 0.006
"""Attenuation per mm above that of soft tissue (0.020): cortical bone of 1.9 g/cm3 about three times that of water near
60 keV; trabecular bone of a vertebra about 200 HU and more (both inferred).
"""
_CARTILAGE = 0.004
"""The mesh of sternum and costal cartilages is mostly cartilage: hardly denser than muscle (inferred)."""


@dataclass(frozen=True, eq=False)
class ProjectedPose(SpinePose):
    """The vertebrae as the detector shows them, in mm on it; ``projected`` (17, 4, 2) are the corners."""

    projected: np.ndarray = None

    def corners(self) -> np.ndarray:
        """As projected."""
        return self.projected


class _SoftTrunk(Trunk):
    """The trunk without the bones that the meshes bring."""

    def _pelvis(self, off, y):
        return np.zeros(np.broadcast_shapes(off.shape, y.shape))

    def bars(self, to_pixels, scale: float) -> Strokes:
        """Clavicles and lung vessels."""
        strokes, contrast = Strokes(), self._rng.uniform(0.8, 1.5)
        for side in (-1, 1):
            strokes.add_tube(to_pixels(self._clavicle(side)), 5.0 * scale, 0.5 * contrast, hollow=0.7)
        for _ in range(self._rng.integers(90, 200)):
            curve, radius = self._vessel()
            strokes.add_tube(to_pixels(curve), np.maximum(radius * scale, 0.4), self._rng.uniform(0.03, 0.13))
        return strokes


def simulate_spine_from_bones(
    trunk: SpineBones,
    seed: int,
    size: tuple[int, int] = (1000, 500),
    *,
    curve_angle: float | None = None,
    curve_count: int | None = None,
) -> SimulatedSpine:
    """Render one radiograph of ``size`` (rows, columns); the same arguments give the same bytes.

    ``curve_angle`` (degrees, the largest swing of the vertebrae's tilt) and ``curve_count`` (1-3) are random where
    None. Raises ValueError for a size below 128 x 48 pixels.
    """
    rows, columns = size
    if rows < 128 or columns < 48:
        raise ValueError(f"size {rows} x {columns}: a spine needs at least 128 rows and 48 columns")
    rng = np.random.default_rng(seed)
    pose, posture = random_pose(rng, curve_angle, curve_count), _random_posture(rng)
    posed = pose_trunk(trunk, pose, posture)
    plate = _random_plate(rng, posed)
    seen = _projected_pose(pose, plate.project(posed.corners))
    view = field_of_view(rng, seen, (rows, columns))
    camera = _viewing(plate, view)
    around = _SoftTrunk(rng, seen)
    total = soft_tissue(around, view) + around.bars(view.to_pixels, view.scale).draw(view.shape)
    total += _bone_attenuation(rng, posed, camera)
    corners = camera.project(posed.corners)
    image = expose(rng, total, view.scale, corners)
    return SimulatedSpine(image, corners, _parameters(seed, size, trunk, pose, posture, camera, view))


def _random_posture(rng: np.random.Generator) -> Posture:
    """Adolescent to adult size, and sagittal curves about the library's own (ranges inferred)."""
    lordosis = rng.normal(0, 8)
    return Posture(
        kyphosis=float(rng.normal(-8, 8)),
        lordosis=float(lordosis),
        pelvic_tilt=float(0.6 * lordosis + rng.normal(0, 4)),
        obliquity=float(rng.normal(0, 1.5)),
        scale=float(rng.uniform(0.76, 1.02)),
    )


def _random_plate(rng: np.random.Generator, posed: PosedTrunk) -> Camera:
    """A detector of 1 mm pixels behind the subject (AP) or in front of it (PA), shown face to face in either case."""
    corners = posed.corners.reshape(-1, 3)
    middle = (corners.min(axis=0) + corners.max(axis=0)) / 2
    side = 1.0 if rng.random() < 0.5 else -1.0
    # The spine lies nearer to the back: 80 to 130 mm from the detector in AP, 140 to 200 mm in PA (inferred).
    gap = rng.uniform(80, 130) if side > 0 else rng.uniform(140, 200)
    plane = middle - np.array([0.0, side * gap, 0.0])
    source = plane + np.array([rng.normal(0, 15), side * SOURCE_DISTANCE, rng.normal(0, 40)])
    return Camera(source, plane, (-1.0, 0.0, 0.0), (0.0, 0.0, -1.0), (1, 1))


def _projected_pose(pose: SpinePose, corners: np.ndarray) -> ProjectedPose:
    """Centres, tilts and sizes as seen, so that what is drawn around the spine fits it."""
    top_left, top_right, bottom_left, bottom_right = np.moveaxis(corners, 1, 0)
    across = (top_right + bottom_right - top_left - bottom_left) / 2
    down = (bottom_left + bottom_right - top_left - top_right) / 2
    return ProjectedPose(
        centres=corners.mean(axis=1),
        tilt=np.arctan2(across[:, 1], across[:, 0]),
        width=np.linalg.norm(across, axis=1),
        height=np.linalg.norm(down, axis=1),
        wedge=pose.wedge,
        taper=pose.taper,
        rotation=pose.rotation,
        curve_count=pose.curve_count,
        curve_angles=pose.curve_angles,
        projected=corners,
    )


def _viewing(plate: Camera, view: View) -> Camera:
    """The camera whose pixels are those of ``view``: pixel = mm on the plate * scale + offset."""
    step = 1 / view.scale
    first = plate.position(-np.asarray(view.offset) * step)
    return Camera(plate.source, first, plate.column_step * step, plate.row_step * step, view.shape)


def _bone_attenuation(rng: np.random.Generator, posed: PosedTrunk, camera: Camera) -> np.ndarray:
    """Attenuation (rows, columns) of all bones above that of the soft tissue whose place they take."""
    # Ranges by eye against the AASCE radiographs; the library's ribs are stylised and thin, so they count for more.
    density = rng.uniform(0.75, 1.35)
    trabecular = _TRABECULAR * rng.uniform(0.5, 1.8)
    ribs = rng.uniform(1.0, 2.0)
    total = np.zeros(camera.shape)
    names = list(posed.outer)
    outer = path_crops([posed.outer[name] for name in names], camera)
    inner = path_crops([posed.inner[name] for name in names], camera)
    for name, whole, core in zip(names, outer, inner, strict=True):
        if name == "sternum_cartilage":
            total[whole.window] += _CARTILAGE * whole.values
            continue
        share = density * (ribs if name.startswith("rib") else 1.0)
        total[whole.window] += share * _CORTICAL * whole.values
        total[core.window] -= share * (_CORTICAL - trabecular) * core.values
    return total


def _parameters(
    seed: int,
    size: tuple[int, int],
    trunk: SpineBones,
    pose: SpinePose,
    posture: Posture,
    camera: Camera,
    view: View,
) -> Mapping[str, object]:
    return {
        "seed": int(seed),
        "size": list(size),
        "bones": trunk.bones.id,
        "curve_count": pose.curve_count,
        "curve_angles": [round(angle, 3) for angle in pose.curve_angles],
        "rotation": [round(float(share), 4) for share in pose.rotation],
        "posture": dict(vars(posture)),
        "projection": "AP" if camera.source[1] > camera.origin[1] else "PA",
        "camera": camera.as_json(),
        "mm_per_pixel": round(1 / view.scale, 5),
    }
