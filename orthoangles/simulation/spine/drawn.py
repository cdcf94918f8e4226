"""A rendered AP whole-spine radiograph with its 68 corners: attenuation is summed, then exposed."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from orthoangles.simulation.spine import vertebra as bone
from orthoangles.simulation.spine.exposure import expose, interpolate
from orthoangles.simulation.spine.pose import SpinePose, random_pose
from orthoangles.simulation.spine.trunk import Trunk


@dataclass(frozen=True, eq=False)
class SimulatedSpine:
    """One rendered radiograph and its truth.

    ``image`` (rows, columns) uint8, bright = dense; ``corners`` (17, 4, 2) pixels (x = column, y = row, pixel
    centres at whole numbers) of top-left, top-right, bottom-left, bottom-right of T1..L5 as seen in the
    image; ``parameters``: what was drawn (JSON types).
    """

    image: np.ndarray
    corners: np.ndarray
    parameters: dict[str, Any]

    @property
    def points(self) -> np.ndarray:
        """The corners as (68, 3) LPS points of an image without spacing: (column, row, 0)."""
        flat = self.corners.reshape(-1, 2)
        return np.column_stack([flat, np.zeros(len(flat))])

    def write_png(self, path: Path) -> None:
        """Write the image."""
        import SimpleITK

        SimpleITK.WriteImage(SimpleITK.GetImageFromArray(self.image), str(path), useCompression=True)


@dataclass(frozen=True)
class View:
    """Field of view: pixel = mm * scale + offset."""

    scale: float
    offset: tuple[float, float]
    shape: tuple[int, int]

    def to_pixels(self, points: np.ndarray) -> np.ndarray:
        return points * self.scale + np.asarray(self.offset)

    def axes(self, step: int = 1) -> tuple[np.ndarray, np.ndarray]:
        """Columns' x and rows' y in mm, every ``step`` pixels and beyond the last."""
        rows, columns = self.shape
        x = np.arange(0, columns + step, step) if step > 1 else np.arange(columns)
        y = np.arange(0, rows + step, step) if step > 1 else np.arange(rows)
        return (x - self.offset[0]) / self.scale, (y - self.offset[1]) / self.scale


def simulate_spine(
    seed: int,
    size: tuple[int, int] = (1000, 500),
    *,
    curve_angle: float | None = None,
    curve_count: int | None = None,
) -> SimulatedSpine:
    """Render one radiograph of ``size`` (rows, columns); the same arguments give the same bytes.

    ``curve_angle`` (degrees, the largest curve) and ``curve_count`` (1-3) are random (0-72) where None.
    Raises ValueError for a size below 128 x 48 pixels.
    """
    rows, columns = size
    if rows < 128 or columns < 48:
        raise ValueError(f"size {rows} x {columns}: a spine needs at least 128 rows and 48 columns")
    rng = np.random.default_rng(seed)
    pose = random_pose(rng, curve_angle, curve_count)
    view = field_of_view(rng, pose, (rows, columns))
    trunk = Trunk(rng, pose)
    total = soft_tissue(trunk, view)
    total += trunk.bars(view.to_pixels, view.scale).draw(view.shape)
    _add_vertebrae(total, rng, pose, view)
    corners = view.to_pixels(pose.corners())
    image = expose(rng, total, view.scale, corners)
    parameters = {
        "seed": int(seed),
        "size": [rows, columns],
        "curve_count": pose.curve_count,
        "curve_angles": [round(a, 3) for a in pose.curve_angles],
        "mm_per_pixel": round(1 / view.scale, 5),
    }
    return SimulatedSpine(image, corners, parameters)


def field_of_view(rng: np.random.Generator, pose: SpinePose, shape: tuple[int, int]) -> View:
    """T1 near the top and L5 near the bottom, and all corners inside even on a narrow film."""
    rows, columns = shape
    corners = pose.corners()
    top, bottom = pose.centres[0, 1], pose.centres[-1, 1]
    left, right = corners[..., 0].min(), corners[..., 0].max()
    top_row, bottom_row = rng.triangular(0.035, 0.045, 0.12), rng.triangular(0.82, 0.91, 0.945)
    scale = min((bottom_row - top_row) * rows / (bottom - top), 0.88 * columns / (right - left))
    free = columns - (right - left) * scale
    x_offset = free * np.clip(rng.normal(0.5, 0.12), 0.06, 0.94) - left * scale
    slack = max(rows * (bottom_row - top_row) - (bottom - top) * scale, 0)
    y_offset = top_row * rows + slack * rng.uniform(0.2, 0.8) - top * scale
    return View(float(scale), (float(x_offset), float(y_offset)), (rows, columns))


def soft_tissue(trunk: Trunk, view: View) -> np.ndarray:
    """Computed on every third pixel: soft tissue has no finer detail."""
    step = 3
    coarse = trunk.soft_tissue(*view.axes(step))
    rows, columns = view.shape
    return interpolate(interpolate(coarse, rows, step).T, columns, step).T


def _add_vertebrae(total: np.ndarray, rng: np.random.Generator, pose: SpinePose, view: View) -> None:
    density = rng.uniform(0.8, 1.6)
    opening = rng.uniform(0.3, 2.5, 2)
    posterior = rng.uniform(0.6, 1.35)
    dip, waist = rng.uniform(0.2, 1.6), rng.uniform(0.02, 0.08)
    x, y = view.axes()
    for level, centre, tilt, width, height, wedge, taper, rotation in _levels(pose):
        item = bone.Vertebra(
            level=level,
            centre=centre,
            tilt=tilt,
            width=width,
            height=height,
            wedge=wedge,
            taper=taper,
            rotation=rotation,
            density=density * rng.normal(1, 0.05),
            dip=dip,
            waist=waist,
            posterior=posterior,
            opening=(opening[0] * rng.uniform(0.3, 1.3), opening[1] * rng.uniform(0.3, 1.3)),
        )
        across, down = bone.reach(item)
        columns = slice(*np.searchsorted(x, [centre[0] - across, centre[0] + across]))
        rows = slice(*np.searchsorted(y, [centre[1] - down, centre[1] + down]))
        grid = np.meshgrid(x[columns].astype(np.float32), y[rows].astype(np.float32))
        total[rows, columns] += bone.attenuation(item, *grid, 1 / view.scale)
    _add_sacrum(total, rng, pose, view, density)


def _levels(pose: SpinePose):
    """The seventeen vertebrae and four cervical ones above them, following the tilt of T1."""
    centre = pose.centres[0].copy()
    for above in range(1, 5):
        step = 17.5 * pose.height[0] / 12.6
        centre = centre + step * np.array([np.sin(pose.tilt[0]), -np.cos(pose.tilt[0])])
        width = pose.width[0] * (0.92, 0.80, 0.76, 0.74)[above - 1]
        yield (
            -above,
            tuple(centre),
            pose.tilt[0],
            width,
            pose.height[0] * 0.95,
            (0.0, 0.0),
            1.0,
            pose.rotation[0],
        )
    for i in range(17):
        yield (
            i,
            tuple(pose.centres[i]),
            pose.tilt[i],
            pose.width[i],
            pose.height[i],
            tuple(pose.wedge[i]),
            pose.taper[i],
            pose.rotation[i],
        )


def _add_sacrum(total: np.ndarray, rng: np.random.Generator, pose: SpinePose, view: View, density: float) -> None:
    """S1 as a slab that narrows downwards, its wings and three pairs of dark foramina."""
    x, y = view.axes()
    tilt, width, height = 0.6 * pose.tilt[-1], pose.width[-1], pose.height[-1]
    start = pose.centres[-1] + (height / 2 + rng.uniform(5, 11)) * np.array(
        [-np.sin(pose.tilt[-1]), np.cos(pose.tilt[-1])]
    )
    first = int(np.searchsorted(y, start[1] - 30))
    dx, dy = np.broadcast_arrays(x[None, :] - start[0], y[first:, None] - start[1])
    across, down = np.cos(tilt) * dx + np.sin(tilt) * dy, -np.sin(tilt) * dx + np.cos(tilt) * dy
    half = width * (0.98 - 0.45 * np.clip(down / 95, 0, 1))
    ala = down - 0.012 * np.clip(np.abs(across) - width / 2, 0, None) ** 2 * np.sign(rng.uniform(-0.5, 1))
    inside = np.clip(ala / 3 + 0.5, 0, 1) * np.clip((half - np.abs(across)) / 10 + 0.5, 0, 1)
    value = 0.17 * inside + 0.14 * np.exp(-((down / 1.2) ** 2)) * np.clip((width / 2 - np.abs(across)) / 3, 0, 1)
    for row in range(3):
        for side in (-1, 1):
            hole = ((across - side * (17 - 2 * row)) / 4.5) ** 2 + ((down - 19 - 21 * row) / 4.0) ** 2
            value = value - 0.14 * np.exp(-hole) + 0.10 * np.exp(-((np.sqrt(hole) - 1.4) ** 2) / 0.08)
    total[first:] += density * value
