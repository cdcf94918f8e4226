"""Trabecular texture of a radiograph: the projected grain of each bone, along the way its trabeculae run.

Trabeculae are far finer than the meshes say, so a stationary random texture stands for them: streaks along the bone's
axis and fainter ones across, both wavering, and in the calcaneus, seen from the side, a fan from the posterior facet to
the heel crossed by arcs (the compressive and tensile bundles that lateral radiographs show). Strength grows with the
square root of the path, as that of many independent layers does. All sizes are inferred from how radiographs look.
"""

import numpy as np

from orthoangles.simulation.pose.posed_foot import PosedFoot
from orthoangles.simulation.radiography.cameras import Camera
from orthoangles.simulation.radiography.film import wide_blur
from orthoangles.simulation.radiography.projection import FootPaths

_SIDE = 512  # pixels of the periodic texture
_STREAKS = ((0.35, 0.25, 1.0), (1.1, 0.25, 1.0), (2.4, 0.5, 0.3))
"""Length and half width in mm and weight of the streaks: trabeculae stand 0.5 to 1 mm apart (inferred)."""


def trabecular_texture(paths: FootPaths, foot: PosedFoot, camera: Camera, rng: np.random.Generator) -> np.ndarray:
    """Bone (rows, columns) float32 in mm that the trabeculae add to or leave out of a path, at contrast 1."""
    pixel = float(np.linalg.norm(camera.column_step))
    streaks = _streaks(rng, pixel)
    waver = _waver(rng, camera.shape, pixel)
    texture = np.zeros(camera.shape, dtype=np.float32)
    for name, crop in paths.inside.items():
        y, x = np.nonzero(crop.values > 0.05)
        if not len(y):
            continue
        at = np.stack([x + crop.column, y + crop.row], axis=1).astype(np.float32)
        along, across = _directions(foot, camera, name, at)
        waves = waver[:, y + crop.row, x + crop.column]
        along, across = along + waves[0], across + waves[1]
        phase = rng.uniform(0, _SIDE, 4).astype(np.float32)
        grain = _sample(streaks, along + phase[0], across + phase[1])
        grain += np.float32(0.5) * _sample(streaks, across + phase[2], along + phase[3])
        texture[y + crop.row, x + crop.column] += grain * np.sqrt(crop.values[y, x])
    return texture


def _directions(foot: PosedFoot, camera: Camera, name: str, at: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Coordinates in px along and across the trabeculae at pixels ``at`` (n, 2)."""
    vertices = foot.bones[name].vertices
    if name == "calcaneus" and abs(camera.row_step[2]) > abs(camera.row_step[1]):
        return _fan(camera, vertices, at)
    centre = vertices.mean(axis=0)
    axis = np.linalg.eigh((vertices - centre).T @ (vertices - centre))[1][:, -1]
    start, end = camera.project(np.stack([centre - axis, centre + axis]))
    way = end - start
    size = np.linalg.norm(way)
    way = (way / size if size > 1e-6 else np.array([0.0, 1.0])).astype(np.float32)
    away = at - start.astype(np.float32)
    return away @ way, away @ np.array([-way[1], way[0]], dtype=np.float32)


def _fan(camera: Camera, vertices: np.ndarray, at: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Rays and arcs about a point above the highest part of the calcaneus, where its posterior facet lies."""
    top = vertices[vertices[:, 2] > np.quantile(vertices[:, 2], 0.97)].mean(axis=0)
    centre = camera.project(top + np.array([0.0, 14.0, 30.0])).astype(np.float32)
    away = at - centre
    radius = np.hypot(away[:, 0], away[:, 1])
    middle = np.float32(np.median(radius))
    # The cut of the angle points up, where the bone is not.
    return radius, np.arctan2(away[:, 0], away[:, 1]) * middle


def _waver(rng: np.random.Generator, shape: tuple[int, int], pixel: float) -> np.ndarray:
    """Smooth displacements (2, rows, columns) float32 in px that keep streaks from being straight."""
    waver = np.stack([wide_blur(rng.standard_normal(shape, dtype=np.float32), 2.2 / pixel) for _ in range(2)])
    return waver * np.float32(0.55 / pixel) / waver.std()


def _streaks(rng: np.random.Generator, pixel: float) -> np.ndarray:
    """A periodic texture (side, side) float32 of unit variance with streaks along its first axis."""
    from scipy.ndimage import gaussian_filter1d

    total = np.zeros((_SIDE, _SIDE), dtype=np.float32)
    for length, width, weight in _STREAKS:
        noise = rng.standard_normal((_SIDE, _SIDE), dtype=np.float32)
        noise = gaussian_filter1d(noise, length / pixel, axis=0, mode="wrap", truncate=2.5)
        noise = gaussian_filter1d(noise, max(width / pixel, 0.5), axis=1, mode="wrap", truncate=2.5)
        total += np.float32(weight) * noise / noise.std()
    return total / total.std()


def _sample(texture: np.ndarray, first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Bilinear, periodic look-up at float positions."""
    a, b = np.floor(first), np.floor(second)
    fa, fb = (first - a).astype(np.float32), (second - b).astype(np.float32)
    i, j = a.astype(np.int32) % _SIDE, b.astype(np.int32) % _SIDE
    flat = texture.ravel()
    i1, j1 = (i + 1) % _SIDE, (j + 1) % _SIDE
    upper = flat[i * _SIDE + j] * (1 - fb) + flat[i * _SIDE + j1] * fb
    lower = flat[i1 * _SIDE + j] * (1 - fb) + flat[i1 * _SIDE + j1] * fb
    return upper * (1 - fa) + lower * fa
