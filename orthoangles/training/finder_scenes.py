"""Pictures to train the foot finder on: films of feet, turned, parted, paired and exposed at random; and no feet."""

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

NO_FOOT = -1
"""Kind of a film without a foot."""


@dataclass(frozen=True, eq=False)
class Foot:
    """A foot in a picture: index of its kind; (8, 2) outline in pixels (x, y), NaN where its place is not known; up."""

    kind: int
    outline: np.ndarray
    up: np.ndarray

    @property
    def placed(self) -> bool:
        """Whether its place is known."""
        return bool(np.isfinite(self.outline).all())


@dataclass(frozen=True, eq=False)
class Scene:
    """Grey ``pixels`` (rows, columns) in 0..1, bright bone, with the feet in them."""

    pixels: np.ndarray
    feet: tuple[Foot, ...] = ()

    def cropped(self, low: np.ndarray, high: np.ndarray) -> "Scene":
        """Columns and rows from ``low`` to below ``high``, each (x, y), within the picture."""
        size = np.array(self.pixels.shape[::-1])
        x0, y0 = np.clip(low, 0, size - 8).astype(int)
        x1, y1 = np.clip(high, (x0 + 8, y0 + 8), size).astype(int)
        return self.moved(self.pixels[y0:y1, x0:x1], lambda points: points - np.array([x0, y0]))

    def mirrored(self) -> "Scene":
        """Left and right exchanged."""
        last = self.pixels.shape[1] - 1
        scene = self.moved(self.pixels[:, ::-1], lambda points: np.stack([last - points[..., 0], points[..., 1]], -1))
        return replace(scene, feet=tuple(replace(foot, up=foot.up * (-1, 1)) for foot in scene.feet))

    def scaled(self, factor: float) -> "Scene":
        """Larger or smaller, smoothed where it shrinks."""
        shape = [max(8, round(n * factor)) for n in self.pixels.shape]
        values = torch.from_numpy(np.ascontiguousarray(self.pixels))[None, None]
        pixels = F.interpolate(values, shape, mode="bilinear", align_corners=False, antialias=True)[0, 0].numpy()
        real = np.array(shape[::-1]) / self.pixels.shape[::-1]
        return self.moved(pixels, lambda points: (points + 0.5) * real - 0.5)

    def moved(self, pixels: np.ndarray, move: Callable[[np.ndarray], np.ndarray]) -> "Scene":
        """Other pixels, with the outlines moved along."""
        return Scene(pixels, tuple(replace(foot, outline=move(foot.outline)) for foot in self.feet))


# --- one foot, two feet
def around_the_foot(scene: Scene, rng: np.random.Generator, margins: tuple[float, float]) -> Scene:
    """Cut to its foot with margins drawn for each side, as shares of the outline's longer side."""
    outline = scene.feet[0].outline
    low, high = outline.min(0), outline.max(0)
    reach = (high - low).max()
    return scene.cropped(low - reach * rng.uniform(*margins, 2), high + reach * rng.uniform(*margins, 2))


def blanked(scene: Scene, rng: np.random.Generator) -> Scene:
    """Black, grey or white outside a rectangle around what is known of the feet: collimation."""
    points = np.concatenate([foot.outline for foot in scene.feet])
    low = points.min(0) * rng.uniform(0, 1, 2)
    high = points.max(0) + (np.array(scene.pixels.shape[::-1]) - points.max(0)) * rng.uniform(0, 1, 2)
    inside = np.zeros(scene.pixels.shape, dtype=bool)
    inside[max(0, int(low[1])) : max(0, int(high[1])) + 1, max(0, int(low[0])) : max(0, int(high[0])) + 1] = True
    return replace(
        scene, pixels=np.where(inside, scene.pixels, np.float32(rng.choice([0.0, 0.15, 1.0], p=[0.7, 0.2, 0.1])))
    )


def side_by_side(one: Scene, other: Scene, rng: np.random.Generator) -> Scene:
    """Two AP feet on one film: as tall as each other, on one background, brighter over darker."""
    height = [np.ptp(scene.feet[0].outline[:, 1]) for scene in (one, other)]
    other = other.scaled(float(np.clip(height[0] / height[1] * rng.uniform(0.94, 1.06), 0.5, 2)))
    if rng.random() < 0.5:
        one, other = other, one
    levels = [_background(scene.pixels) for scene in (one, other)]
    rows = max(one.pixels.shape[0], other.pixels.shape[0])
    gap = int(rng.uniform(-0.06, 0.15) * one.pixels.shape[1])
    left, right = one.pixels.shape[1] + gap, one.pixels.shape[1] + gap + other.pixels.shape[1]
    canvas = np.full((rows, right), levels[0], dtype=np.float32)
    feet = []
    for scene, level, x in ((one, levels[0], 0), (other, levels[1], left)):
        y = int(rng.integers(0, rows - scene.pixels.shape[0] + 1))
        place = (slice(y, y + scene.pixels.shape[0]), slice(x, x + scene.pixels.shape[1]))
        canvas[place] = np.maximum(canvas[place], scene.pixels - level + levels[0])
        feet += scene.moved(scene.pixels, lambda points, x=x, y=y: points + np.array([x, y])).feet
    return Scene(canvas.clip(0, 1), tuple(feet))


def two_films(one: Scene, other: Scene, rng: np.random.Generator) -> Scene:
    """Two films beside each other on one sheet, equally tall."""
    other = other.scaled(one.pixels.shape[0] / other.pixels.shape[0])
    rows = min(one.pixels.shape[0], other.pixels.shape[0])
    if rng.random() < 0.5:
        one, other = other, one
    strip = np.zeros((rows, int(rng.integers(0, 16))), dtype=np.float32)
    start = one.pixels.shape[1] + strip.shape[1]
    moved = other.moved(other.pixels, lambda points: points + np.array([start, 0]))
    return Scene(np.hstack([one.pixels[:rows], strip, other.pixels[:rows]]), (*one.feet, *moved.feet))


def _background(pixels: np.ndarray) -> float:
    """Median grey of the left, right and upper border."""
    return float(np.median(np.concatenate([pixels[:, :3].ravel(), pixels[:, -3:].ravel(), pixels[:3].ravel()])))


# --- no foot
def nothing(rng: np.random.Generator, side: int = 288) -> Scene:
    """A picture of no body part: even, shaded, noisy or cluttered."""
    shape = tuple(int(n) for n in rng.integers(side // 2, side, 2))
    y, x = np.mgrid[: shape[0], : shape[1]]
    slope = rng.normal(0, 0.3, 2)
    pixels = rng.uniform(0, 1) + slope[0] * y / shape[0] + slope[1] * x / shape[1]
    for _ in range(int(rng.choice([0, 0, 3, 12, 30]))):
        _draw(pixels, y, x, rng)
    for coarse in rng.choice([1, 4, 16, 48], int(rng.integers(0, 3)), replace=False):
        grid = rng.standard_normal((shape[0] // coarse + 2, shape[1] // coarse + 2))
        pixels += rng.uniform(0.02, 0.25) * np.kron(grid, np.ones((coarse, coarse)))[: shape[0], : shape[1]]
    scene = Scene(pixels.clip(0, 1).astype(np.float32))
    return scene.scaled(0.5) if rng.random() < 0.5 else scene


def _draw(pixels: np.ndarray, y: np.ndarray, x: np.ndarray, rng: np.random.Generator) -> None:
    """Adds an ellipse, a bar or a ring."""
    centre, radius = rng.uniform(0, pixels.shape), rng.uniform(0.02, 0.25, 2) * min(pixels.shape)
    turn = rng.uniform(0, np.pi)
    u = (x - centre[1]) * np.cos(turn) + (y - centre[0]) * np.sin(turn)
    v = (y - centre[0]) * np.cos(turn) - (x - centre[1]) * np.sin(turn)
    distance = np.hypot(u / radius[0], v / radius[1])
    shape = rng.integers(3)
    inside = distance < 1 if shape == 0 else np.maximum(abs(u) / radius[0], abs(v) / radius[1]) < 1
    pixels[abs(distance - 1) < 0.1 if shape == 2 else inside] += rng.uniform(-0.4, 0.6)


def shuffled(scene: Scene, rng: np.random.Generator) -> Scene:
    """The film's texture without the foot: its tiles in another order, each turned."""
    side = min(scene.pixels.shape) // int(rng.integers(3, 6))
    rows, columns = (n // side for n in scene.pixels.shape)
    tiles = [
        scene.pixels[i * side : (i + 1) * side, j * side : (j + 1) * side] for i in range(rows) for j in range(columns)
    ]
    turned = [np.rot90(tiles[k], int(rng.integers(4))) for k in rng.permutation(len(tiles))]
    return Scene(np.block([turned[i * columns : (i + 1) * columns] for i in range(rows)]).astype(np.float32))


# --- from the scene to the network's input
def placed(scene: Scene, rng: np.random.Generator, size: tuple[int, int]) -> Scene:
    """In a frame of ``size`` (rows, columns): turned by any quarter and a little more, mirrored, as large as it fits.

    A third of the pictures fill the frame as an image that is letterboxed at prediction does, turned by quarters only.
    """
    shape = np.array(scene.pixels.shape[::-1])
    frame = np.array(size[::-1])
    quarter = int(rng.choice(4, p=[0.4, 0.2, 0.2, 0.2]))
    exact = rng.random() < 0.35
    turn = quarter * np.pi / 2 + (0 if exact else np.deg2rad(np.clip(rng.normal(0, 8), -20, 20)))
    stretch = np.exp(rng.uniform(-0.2, 0.2) if rng.random() < 0.5 else 0)
    matrix = np.array([[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]]) @ np.diag([stretch, 1 / stretch])
    if rng.random() < 0.5:
        matrix = matrix @ np.diag([-1, 1])
    extent = abs(matrix) @ shape if exact else shape[:: -1 if quarter % 2 else 1]
    matrix *= (frame / extent).min() * (1 if exact else rng.uniform(0.65, 1.1))
    shift = np.zeros(2) if exact else rng.uniform(-0.08, 0.08, 2) * frame
    return _sampled(scene, matrix, (frame - 1) / 2 + shift, size, _outside(rng))


def _outside(rng: np.random.Generator) -> float:
    """Grey around the film: black mostly."""
    return float(rng.choice([0.0, rng.uniform(0, 0.4), 1.0], p=[0.75, 0.18, 0.07]))


def _sampled(scene: Scene, matrix: np.ndarray, middle: np.ndarray, size: tuple[int, int], outside: float) -> Scene:
    """The scene's centre at ``middle``, its directions by ``matrix``."""
    shape = np.array(scene.pixels.shape[::-1])
    centre = (shape - 1) / 2
    back = torch.from_numpy(np.linalg.inv(matrix)).float()
    y, x = torch.meshgrid(*(torch.arange(n).float() for n in size), indexing="ij")
    grid = (torch.stack([x, y], -1) - torch.from_numpy(middle).float()) @ back.T + torch.from_numpy(centre).float()
    grid = (2 * grid + 1) / torch.from_numpy(shape).float() - 1
    values = torch.from_numpy(np.ascontiguousarray(scene.pixels - outside, dtype=np.float32))[None, None]
    pixels = F.grid_sample(values, grid[None], mode="bilinear", padding_mode="zeros", align_corners=False)[0, 0]
    feet = tuple(
        Foot(foot.kind, (foot.outline - centre) @ matrix.T + middle, _unit(matrix @ foot.up)) for foot in scene.feet
    )
    return Scene(pixels.numpy() + outside, feet)


def _unit(vector: np.ndarray) -> np.ndarray:
    return vector / np.linalg.norm(vector)


def exposed(image: Tensor, rng: np.random.Generator) -> Tensor:
    """(rows, columns) in 0..1 with other gamma, contrast and brightness, marks, blur and noise."""
    image = image.clamp(0, 1) ** float(np.exp(rng.uniform(-0.7, 0.7)))
    gain = rng.uniform(0.6, 1.5)
    image = (image - 0.5) * gain + 0.5 + rng.uniform(-0.2, 0.2)
    if rng.random() < 0.3:
        rows, columns = image.shape
        for _ in range(int(rng.integers(1, 4))):
            height, width = (int(n) for n in rng.integers(4, 40, 2))
            top, left = int(rng.integers(0, rows - height)), int(rng.integers(0, columns - width))
            image[top : top + height, left : left + width] = float(rng.uniform(0, 1))
    if rng.random() < 0.3:
        image = F.avg_pool2d(image[None, None], 3, 1, 1, count_include_pad=False)[0, 0]
    if rng.random() < 0.5:
        image = image + torch.from_numpy(rng.standard_normal(image.shape, dtype=np.float32)) * float(
            rng.uniform(0, 0.08)
        )
    return image.clamp(0, 1)
