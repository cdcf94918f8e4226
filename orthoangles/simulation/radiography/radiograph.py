"""Radiographs of a posed foot, with where every landmark is and whether it can be seen.

    camera = view_camera(foot, tissue, "ap", rng)
    radiograph = render_radiograph(foot, tissue, camera, rng)
    radiograph.image, radiograph.points["A1"], radiograph.visible["A1"]

The beam is followed through the surfaces exactly (rasterising.py), attenuated in energy bins (materials.py), and shown
as a detector and a vendor's display would (film.py). Landmarks go through the same camera.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from orthoangles.simulation.pose.posed_foot import PosedFoot
from orthoangles.simulation.radiography.cameras import Camera
from orthoangles.simulation.radiography.film import aged, detected, displayed, wide_blur
from orthoangles.simulation.radiography.furniture import clothes_folds, collimated, field_mask, screw_meshes, stamped
from orthoangles.simulation.radiography.materials import spectrum, transmitted
from orthoangles.simulation.radiography.projection import FootPaths, foot_paths, slab_path
from orthoangles.simulation.radiography.radiograph_style import RadiographStyle, random_style
from orthoangles.simulation.radiography.rasterising import path_lengths
from orthoangles.simulation.radiography.trabeculae import trabecular_texture

if TYPE_CHECKING:
    from orthoangles.simulation.tissue.tissue import FootTissue

_PLATE = ((-160.0, -260.0), (120.0, 330.0))
"""Standing plate about the foot's origin in mm: x and y of two corners (inferred; beyond the image along y)."""


@dataclass(frozen=True, eq=False)
class Radiograph:
    """``image`` (rows, columns) uint8; ``points`` id -> (column, row) px, pixel centres at whole numbers.

    ``visible`` id -> whether the landmark lies in the image and the collimated field, and the window leaves some grey
    within 2 mm of it. That is an approximation: a point under other bones may still be hard to tell. ``parameters``
    are JSON types: style, camera, side, millimetres per pixel on the detector.
    """

    image: np.ndarray
    points: Mapping[str, np.ndarray]
    visible: Mapping[str, bool]
    parameters: Mapping[str, Any] = field(default_factory=dict)


def render_radiograph(
    foot: PosedFoot,
    tissue: "FootTissue",
    camera: Camera,
    rng: np.random.Generator,
    style: RadiographStyle | None = None,
    *,
    device: str = "cpu",
) -> Radiograph:
    """The radiograph that ``camera`` (set for a right foot) takes of ``foot``; ``style`` is drawn when None.

    The image of a left foot is that of the right one flipped left to right, points too; only letters stay readable. The
    same arguments give the same bytes on the CPU. Raises SimulationError when the camera stands inside the foot.
    """
    view = "lateral" if abs(camera.row_step[2]) > 0.5 * np.linalg.norm(camera.row_step) else "ap"
    style = style or random_style(rng, view)
    pixel = float(np.linalg.norm(camera.column_step))
    paths = foot_paths(foot, tissue, camera, other_foot=style.other_foot, device=device)
    beam = _beam(paths, foot, camera, style, rng, device)
    points = {name: camera.project(position) for name, position in foot.landmarks.items()}
    in_foot = (paths.flesh + paths.cortex) > 4.0
    read = in_foot & _before_leg(paths, view, pixel)
    level, clipped = displayed(detected(beam, style, pixel, rng), read, style, pixel)
    mask = np.ones(camera.shape, dtype=bool)
    if style.collimation:
        mask = field_mask(camera.shape, style)
        level = collimated(level, mask, style, pixel)
    level = stamped(level, points, mask & ~in_foot, style, foot.side, pixel, rng)
    level = aged(level, style, pixel, rng)
    image = np.clip(np.rint(level * 255), 0, 255).astype(np.uint8)
    if style.cassette:
        _rim(image, pixel)
    image = 255 - image if style.inverted else image
    visible = {name: _seen(clipped, mask, point, pixel) for name, point in points.items()}
    if foot.side == "L":
        image = np.ascontiguousarray(image[:, ::-1])
        points = {name: np.array([camera.shape[1] - 1 - x, y]) for name, (x, y) in points.items()}
        camera = camera.mirrored()
    parameters = {
        "view": view,
        "side": foot.side,
        "mm_per_pixel": pixel,
        "style": style.as_json(),
        "camera": camera.as_json(),
    }
    return Radiograph(image, points, visible, parameters)


def _beam(
    paths: FootPaths,
    foot: PosedFoot,
    camera: Camera,
    style: RadiographStyle,
    rng: np.random.Generator,
    device: str,
) -> np.ndarray:
    """Share of the open beam behind the foot and its plate (rows, columns) float32."""
    share = np.float32(style.trabecular_share)
    bone = paths.cortex + share * paths.trabecular
    if style.trabecular_contrast:
        # Trabeculae are denser here and thinner there, over some millimetres (inferred).
        patches = np.float32(style.trabecular_contrast) * _clouds(camera, rng, 5.0)
        bone += patches * share * paths.trabecular
        bone += np.float32(style.trabecular_contrast) * trabecular_texture(paths, foot, camera, rng)
        np.maximum(bone, 0, out=bone)
    # Marrow of the foot is fatty: half fat, half like soft tissue (inferred).
    marrow = np.float32(0.5) * (1 - share) * paths.trabecular
    fat = np.full(camera.shape, style.fat, dtype=np.float32)
    if style.fat_patches:
        # Fat lies between muscles in patches of about 8 mm (inferred).
        fat += np.float32(style.fat_patches) * _clouds(camera, rng, 8.0)
        np.clip(fat, 0, 1, out=fat)
    layers = {
        "cortex": bone,
        "soft": paths.skin + marrow + (1 - fat) * paths.flesh,
        "fat": marrow + fat * paths.flesh,
    }
    if style.screws:
        screws = screw_meshes(foot, style.screws, rng)
        layers["steel" if rng.random() < 0.5 else "titanium"] = path_lengths(screws, camera, device).sum(axis=0)
    for name, path in _plate(camera, style, rng).items():
        layers[name] = layers.get(name, 0) + path
    beam = transmitted(layers, spectrum(style.kilovolt))
    if style.clothes:
        beam *= np.exp(-clothes_folds(camera, style.clothes, rng))
    return beam


def _before_leg(paths: FootPaths, view: str, pixel: float) -> np.ndarray:
    """(rows, 1) bool: rows of an AP image in front of the leg's shadow, which is left white; all rows of a lateral."""
    rows = np.arange(len(paths.cortex))[:, None]
    crop = paths.inside.get("tibia")
    if view != "ap" or crop is None or not crop.values.any():
        return rows >= 0
    return rows < max(crop.row + 8.0 / pixel, len(rows) / 3)


def _plate(camera: Camera, style: RadiographStyle, rng: np.random.Generator) -> dict[str, np.ndarray]:
    """The plate a lateral foot stands on: a core, with layers where it is of wood, and a denser cover."""
    if not style.plate:
        return {}
    (left, back), (right, front) = _PLATE
    cover = style.plate_cover
    edge = camera.position(np.array([0.0, 0.0]))[0]
    right = min(right, edge - 2.0)
    bottom = -cover - style.plate_thickness
    core = slab_path(camera, np.array([left, back, bottom]), np.array([right, front, -cover]))
    core *= np.float32(style.plate_density)
    if style.plate == "wood":
        core *= _wood(camera, rng)
    plate = {style.plate: core}
    if cover:
        # The lid is thin sheet on a frame: dense at the rim only, a twentieth of a full block of aluminium (inferred).
        lid = slab_path(camera, np.array([left, back, -cover]), np.array([right, front, 0.0]))
        plate["aluminium"] = np.float32(0.05) * lid
    return plate


def _wood(camera: Camera, rng: np.random.Generator) -> np.ndarray:
    """Density (rows, columns) float32 about 1 of a plate of wood: glued layers, and the mottle of its chips."""
    from scipy.ndimage import gaussian_filter, gaussian_filter1d

    pixel = float(np.linalg.norm(camera.row_step))
    layers = gaussian_filter1d(rng.standard_normal(camera.shape[0]), rng.uniform(0.8, 2.5) / pixel)
    mottle = gaussian_filter(rng.standard_normal(camera.shape, dtype=np.float32), 0.35 / pixel, truncate=2.5)
    strength = rng.uniform(0.0, 0.035, 2)
    density = 1 + strength[0] * (layers / layers.std())[:, None] + strength[1] * mottle / mottle.std()
    return density.astype(np.float32)


def _clouds(camera: Camera, rng: np.random.Generator, size: float) -> np.ndarray:
    """Smooth noise of unit variance (rows, columns) float32, in patches of ``size`` mm (sigma)."""
    rows, columns = camera.shape
    pixel = np.linalg.norm(camera.column_step)
    noise = rng.standard_normal((rows, columns), dtype=np.float32)
    cloud = wide_blur(noise, size / pixel)
    return cloud / cloud.std()


def _rim(image: np.ndarray, pixel: float) -> None:
    """The bright rim of a cassette."""
    width = max(int(1.5 / pixel), 1)
    for window in (image[:width], image[-width:], image[:, :width], image[:, -width:]):
        window[:] = np.maximum(window, 235)


def _seen(clipped: np.ndarray, mask: np.ndarray, point: np.ndarray, pixel: float) -> bool:
    rows, columns = clipped.shape
    if not np.isfinite(point).all():
        return False
    column, row = np.rint(point).astype(int)
    if not (0 <= column < columns and 0 <= row < rows) or not mask[row, column]:
        return False
    reach = max(int(2.0 / pixel), 2)
    window = clipped[max(row - reach, 0) : row + reach + 1, max(column - reach, 0) : column + reach + 1]
    return not window.all()
