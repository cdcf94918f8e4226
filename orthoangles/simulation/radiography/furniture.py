"""What lies on a radiograph beside the foot: collimated borders, side letters, burnt-in text, lead balls, screws."""

from collections.abc import Mapping

import numpy as np

from orthoangles.simulation.pose.posed_foot import PosedFoot
from orthoangles.simulation.radiography.cameras import Camera
from orthoangles.simulation.radiography.radiograph_style import RadiographStyle
from orthoangles.simulation.radiography.rasterising import Mesh


def field_mask(shape: tuple[int, int], style: RadiographStyle) -> np.ndarray:
    """True (rows, columns) where the beam was let through."""
    rows, columns = shape
    x = np.arange(columns, dtype=np.float32) / columns
    y = np.arange(rows, dtype=np.float32)[:, None] / columns
    height = rows / columns
    slope = np.float32(np.tan(np.radians(style.field_angle)))
    left, top, right, bottom = style.field
    return (
        (x + slope * (y - height / 2) >= left)
        & (x + slope * (y - height / 2) < right)
        & (y - slope * (x - 0.5) >= top * height)
        & (y - slope * (x - 0.5) < bottom * height)
    )


def collimated(level: np.ndarray, mask: np.ndarray, style: RadiographStyle, pixel: float) -> np.ndarray:
    """Black, white or grey outside of the field, its edge as soft as a shutter's penumbra."""
    from orthoangles.simulation.radiography.film import wide_blur

    value = {"black": 0.0, "white": 0.96, "grey": 0.35}[style.collimation]
    share = wide_blur(mask.astype(np.float32), 0.35 / pixel)
    return level * share + np.float32(value) * (1 - share)


def stamped(
    level: np.ndarray,
    points: Mapping[str, np.ndarray],
    free: np.ndarray,
    style: RadiographStyle,
    side: str,
    pixel: float,
    rng: np.random.Generator,
) -> np.ndarray:
    """The side letter, text and lead ball on ``level``, where ``free`` (rows, columns) and away from the landmarks.

    For a left foot they are drawn mirrored, as the finished image will be mirrored.
    """
    stamps: list[tuple[np.ndarray, float | None]] = []
    if style.marker:
        stamps.append((_letters(side, rng.uniform(7, 14) / pixel), 0.05 if rng.random() < 0.25 else None))
    if style.text:
        stamps.append((_letters(style.text, rng.uniform(3.5, 6) / pixel), 0.0 if rng.random() < 0.5 else None))
    if style.ball:
        stamps.append((_disc(rng.uniform(3, 8) / pixel), None))
    taken = np.array([point for point in points.values() if np.isfinite(point).all()]).reshape(-1, 2)
    for ink, paper in stamps:
        stamp = ink[:, ::-1] if side == "L" else ink
        place = _free_place(stamp.shape, taken, free, rng)
        if place is None:
            continue
        row, column = place
        window = level[row : row + stamp.shape[0], column : column + stamp.shape[1]]
        ground = window * 0 + np.float32(paper) if paper is not None else window
        window[:] = ground * (1 - stamp) + np.float32(rng.uniform(0.85, 1.0)) * stamp
        taken = np.vstack([taken, [[column, row], [column + stamp.shape[1], row + stamp.shape[0]]]])
    return level


def _free_place(
    size: tuple[int, int], taken: np.ndarray, free: np.ndarray, rng: np.random.Generator
) -> tuple[int, int] | None:
    rows, columns = free.shape
    if size[0] >= rows or size[1] >= columns:
        return None
    for _ in range(30):
        row, column = int(rng.integers(0, rows - size[0])), int(rng.integers(0, columns - size[1]))
        if not free[row : row + size[0], column : column + size[1]].all():
            continue
        reach = 0.04 * columns
        near = (taken[:, 0] > column - reach) & (taken[:, 0] < column + size[1] + reach)
        near &= (taken[:, 1] > row - reach) & (taken[:, 1] < row + size[0] + reach)
        if not near.any():
            return row, column
    return None


def _letters(text: str, height: float) -> np.ndarray:
    """(rows, columns) float32 in 0..1 with ``text`` as high as ``height`` px."""
    from PIL import Image, ImageDraw, ImageFont

    font = ImageFont.load_default(size=max(height, 8) * 1.35)
    left, top, right, bottom = font.getbbox(text)
    image = Image.new("L", (int(right - left) + 4, int(bottom - top) + 4))
    ImageDraw.Draw(image).text((2 - left, 2 - top), text, fill=255, font=font)
    return np.asarray(image, dtype=np.float32) / 255


def _disc(radius: float) -> np.ndarray:
    size = int(2 * radius) + 3
    y, x = np.mgrid[:size, :size] - (size - 1) / 2
    return np.clip(radius - np.hypot(x, y) + 0.5, 0, 1).astype(np.float32)


def screw_meshes(foot: PosedFoot, count: int, rng: np.random.Generator) -> list[Mesh]:
    """Cylinders as after surgery of the first ray: through the shaft or head of the first metatarsal."""
    bone = foot.bones.get("metatarsal_1")
    if bone is None:
        return []
    centre = bone.vertices.mean(axis=0)
    axis = np.linalg.eigh((bone.vertices - centre).T @ (bone.vertices - centre))[1][:, -1]
    meshes = []
    for _ in range(count):
        middle = centre + axis * rng.uniform(-18, 20)
        way = axis * rng.uniform(0.3, 1.0) + rng.normal(0, 0.5, 3)
        meshes.append(_cylinder(middle, way / np.linalg.norm(way), rng.uniform(16, 34), rng.uniform(1.0, 2.0)))
    return meshes


def _cylinder(centre: np.ndarray, axis: np.ndarray, length: float, radius: float, sides: int = 16) -> Mesh:
    across = np.cross(axis, [0.0, 0.0, 1.0] if abs(axis[2]) < 0.9 else [1.0, 0.0, 0.0])
    across /= np.linalg.norm(across)
    third = np.cross(axis, across)
    angle = np.linspace(0, 2 * np.pi, sides, endpoint=False)[:, None]
    ring = radius * (np.cos(angle) * across + np.sin(angle) * third)
    low, high = centre - axis * length / 2, centre + axis * length / 2
    vertices = np.vstack([ring + low, ring + high, low, high])
    i = np.arange(sides)
    j = (i + 1) % sides
    bottom, top = np.full(sides, 2 * sides), np.full(sides, 2 * sides + 1)
    faces = np.vstack(
        [
            np.column_stack([i, j, j + sides]),
            np.column_stack([i, j + sides, i + sides]),
            np.column_stack([j, i, bottom]),
            np.column_stack([i + sides, j + sides, top]),
        ]
    )
    return vertices, faces


def clothes_folds(camera: Camera, strength: float, rng: np.random.Generator) -> np.ndarray:
    """Folds and seams of a trouser leg (rows, columns) float32 as attenuation: faint wavy lines in the upper image."""
    from orthoangles.simulation.radiography.film import wide_blur
    from orthoangles.simulation.spine.strokes import splat

    rows, columns = camera.shape
    canvas = np.zeros(camera.shape)
    steps = np.linspace(0, 1, 400)
    middle = rng.uniform(0.1, 0.6) * columns
    for _ in range(int(rng.integers(4, 14))):
        start = np.array([middle + rng.normal(0, 0.2) * columns, rng.uniform(0, 0.5) * rows])
        end = start + rng.normal(0, [0.2 * columns, 0.2 * rows])
        bend = np.outer(np.sin(np.pi * steps * rng.uniform(0.5, 2)), rng.normal(0, 0.05 * columns, 2))
        curve = start + steps[:, None] * (end - start) + bend
        length = np.linalg.norm(np.diff(curve, axis=0), axis=1).sum()
        weight = rng.uniform(0.3, 1.0) * strength * length / len(steps) * np.sin(np.pi * steps)
        splat(canvas, curve[:, 0], curve[:, 1], weight)
    return wide_blur(canvas.astype(np.float32), 1.0) * np.float32(2.5)
