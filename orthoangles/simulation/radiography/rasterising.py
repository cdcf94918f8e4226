"""Exact path lengths of rays through closed triangle meshes, and exact coverage of voxels, by rasterising.

Where a ray leaves a closed surface minus where it enters is the length inside, so each triangle adds its signed
distance to the pixels it covers (the L-buffer of Freud et al. 2006, which gVirtualXray draws on a graphics card). Here
triangles are cut into rows and rows into pixels with whole-array operations of torch, on the CPU or a GPU.

No ray slips through an edge or meets it twice: a row of a triangle holds the columns from ``ceil(left edge)`` to below
``ceil(right edge)``, and the crossing of an edge with a row is computed from its upper end whichever triangle asks. So
the signs of all triangles over a pixel cancel exactly. Sums are kept in float64.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from orthoangles.errors import SimulationError
from orthoangles.simulation.radiography.cameras import Camera

if TYPE_CHECKING:
    from torch import Tensor

Mesh = tuple[np.ndarray, np.ndarray]
"""Vertices (n, 3) mm and faces (m, 3), closed and outward."""

_CHUNK = 1_500_000  # pixels of bounding boxes that are worked on at once: bounds the memory


@dataclass(frozen=True)
class Crop:
    """Path lengths ``values`` (rows, columns) float32 mm of one mesh where it is; ``row``, ``column`` of its corner."""

    row: int
    column: int
    values: np.ndarray

    @property
    def window(self) -> tuple[slice, slice]:
        """Where the crop lies in the whole image."""
        rows, columns = self.values.shape
        return slice(self.row, self.row + rows), slice(self.column, self.column + columns)


def path_lengths(meshes: Sequence[Mesh], camera: Camera, device: str = "cpu") -> np.ndarray:
    """Length in mm (n, rows, columns) float32 of the ray to each pixel inside each closed mesh.

    Overlapping parts of one mesh count twice. ``device`` is torch's; the CPU gives the same bytes every time. Raises
    SimulationError when a mesh reaches behind the source or has indices or numbers that cannot be.
    """
    lengths = np.zeros((len(meshes), *camera.shape), dtype=np.float32)
    for image, crop in zip(lengths, path_crops(meshes, camera, device), strict=True):
        image[crop.window] = crop.values
    return lengths


def path_crops(meshes: Sequence[Mesh], camera: Camera, device: str = "cpu") -> list[Crop]:
    """As :func:`path_lengths`, each mesh only where it is seen: much less memory for many small bones."""
    import torch

    vertices, faces, owners = _joined(meshes)
    depths = camera.depths(vertices)
    if len(depths) and not depths[:, 2].min() > 1e-6:
        raise SimulationError("path lengths: a mesh reaches behind the X-ray source; move the source away.")
    pixels = depths[:, :2] / depths[:, 2:]
    boxes = _boxes(pixels, [len(mesh[0]) for mesh in meshes], camera.shape)
    sizes = (boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1])
    starts = np.concatenate([[0], np.cumsum(sizes)])

    def put(array: np.ndarray) -> "Tensor":
        return torch.from_numpy(np.ascontiguousarray(array)).to(device)

    corners = put(depths)[put(faces)]
    normal = torch.linalg.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    # The plane of a triangle holds the points w * (column, row, 1) with normal . point = offset.
    offset = (normal * corners[:, 0]).sum(1)
    low, high = corners[:, :, 2].amin(1), corners[:, :, 2].amax(1)
    # Index of a pixel in the joined crops = base + row * stride + column.
    stride = boxes[:, 3] - boxes[:, 1]
    base = put((starts[:-1] - boxes[:, 0] * stride - boxes[:, 1])[owners])
    stride = put(stride[owners])
    total = torch.zeros(int(starts[-1]), dtype=torch.float64, device=device)
    handed = float(np.sign(np.linalg.det(camera.frame)))
    for spans in _spans(put(pixels), put(faces), put(boxes[owners])):
        triangle = spans.triangle
        slope = normal[triangle, 0]
        level = normal[triangle, 1] * spans.row + normal[triangle, 2]
        at = base[triangle] + spans.row * stride[triangle]
        span, column = spans.pixels()
        w = offset[triangle][span] / (slope[span] * column + level[span])
        # A triangle seen edge-on has no slope to speak of: its ends bound what rounding makes of it.
        w = torch.nan_to_num(w).clamp_(low[triangle][span], high[triangle][span])
        _add(total, at[span] + column, w.mul_(spans.sign[span]))
    lengths = camera.ray_lengths()
    sums = total.cpu().numpy()
    crops = []
    for start, stop, (top, left, bottom, right) in zip(starts[:-1], starts[1:], boxes, strict=True):
        inside = sums[start:stop].reshape(bottom - top, right - left) * lengths[top:bottom, left:right]
        crops.append(Crop(int(top), int(left), (handed * inside).astype(np.float32)))
    return crops


def column_occupancy(
    vertices: np.ndarray,
    faces: np.ndarray,
    origin: Sequence[float],
    spacing: Sequence[float],
    shape: tuple[int, int, int],
    supersample: int = 1,
    device: str = "cpu",
) -> np.ndarray:
    """Share (nx, ny, nz) float32 of each voxel that lies inside a closed mesh.

    ``origin`` (3,) mm is the centre of voxel (0, 0, 0), ``spacing`` (3,) mm. Exact along z on the line through the
    voxel's centre; ``supersample`` takes that many lines along x and along y for each voxel. Raises SimulationError
    when indices or numbers cannot be.
    """
    import torch

    shape = (int(shape[0]), int(shape[1]), int(shape[2]))
    points, faces, _ = _joined([(vertices, faces)])
    places = (points - np.asarray(origin, dtype=np.float64)) / np.asarray(spacing, dtype=np.float64)
    occupancy = np.zeros(shape, dtype=np.float32)
    low = np.clip(np.floor(places.min(axis=0) - 1), 0, shape).astype(int)
    high = np.clip(np.ceil(places.max(axis=0) + 2), 0, shape).astype(int)
    if (low >= high).any():
        return occupancy
    part = tuple(high - low)
    window = occupancy[tuple(slice(a, b) for a, b in zip(low, high, strict=True))]
    steps = (np.arange(supersample) + 0.5) / supersample - 0.5
    for dx in steps:
        for dy in steps:
            shifted = torch.from_numpy(places - low - (dx, dy, 0.0)).to(device)
            window += _covered(shifted, torch.from_numpy(faces).to(device), part)
    if supersample > 1:
        window /= supersample**2
    return occupancy


def _covered(points: "Tensor", faces: "Tensor", shape: tuple[int, ...]) -> np.ndarray:
    """Share (float32) of each voxel above, and not above again, the crossings of its line with the surface."""
    import torch

    nx, ny, nz = shape
    corners = points[faces]
    normal = torch.linalg.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    offset = (normal * corners[:, 0]).sum(1)
    low, high = corners[:, :, 2].amin(1), corners[:, :, 2].amax(1)
    # The last slot of each column takes what lies above the grid.
    steps = torch.zeros(nx * ny * (nz + 1), dtype=torch.float32, device=points.device)
    box = torch.tensor([[0, 0, ny, nx]], device=points.device).expand(len(faces), 4)
    for spans in _spans(points[:, :2], faces, box):
        triangle = spans.triangle
        level = offset[triangle] - normal[triangle, 1] * spans.row
        span, column = spans.pixels()
        z = (level[span] - normal[triangle, 0][span] * column) / normal[triangle, 2][span]
        z = torch.nan_to_num(z).clamp_(low[triangle][span], high[triangle][span]).add_(0.5).clamp_(0, nz)
        voxel = z.floor().clamp_(max=nz - 1)
        share = (z - voxel).to(torch.float32)
        sign = spans.sign.to(torch.float32)[span]
        at = ((column * ny + spans.row[span]) * (nz + 1)) + voxel.to(torch.int64)
        # Summed from below, a crossing fills what is above it in its own voxel and all voxels above that.
        _add(steps, at, sign * (share - 1))
        _add(steps, at + 1, -sign * share)
    columns = steps.view(nx, ny, nz + 1)
    return torch.cumsum(columns, 2, out=columns)[:, :, :nz].cpu().numpy()


@dataclass(frozen=True)
class _Spans:
    """Runs of pixels of one row of one triangle: ``start`` <= column < ``start`` + ``count``.

    ``sign`` (float64) is +1 where the corners of the triangle follow each other clockwise as the image is displayed.
    """

    triangle: "Tensor"
    row: "Tensor"
    start: "Tensor"
    count: "Tensor"
    sign: "Tensor"

    def pixels(self) -> tuple["Tensor", "Tensor"]:
        """Index of the span and the column (both int64) of each pixel."""
        import torch

        span = torch.repeat_interleave(self.count)
        first = torch.cumsum(self.count, 0) - self.count
        return span, torch.arange(len(span), device=span.device) - (first - self.start)[span]


def _spans(points: "Tensor", faces: "Tensor", boxes: "Tensor") -> Iterator[_Spans]:
    """The pixels the triangles cover: ``points`` (n, 2) (column, row), ``boxes`` (m, 4) top, left, bottom, right."""
    import torch

    corners = points[faces]
    rows = corners[:, :, 1]
    order = torch.argsort(rows, dim=1)
    corners = torch.gather(corners, 1, order[:, :, None].expand(-1, -1, 2))
    # Even permutations of (0, 1, 2) are the rotations: the second index follows the first.
    parity = torch.where((order[:, 1] - order[:, 0]) % 3 == 1, 1.0, -1.0).to(torch.float64)
    first = torch.maximum(corners[:, 0, 1].ceil(), boxes[:, 0].to(torch.float64)).to(torch.int64)
    last = torch.minimum(corners[:, 2, 1].ceil(), boxes[:, 2].to(torch.float64)).to(torch.int64)
    height = (last - first).clamp_(min=0)
    seen = torch.nonzero(height, as_tuple=True)[0]
    width = (corners[seen, :, 0].amax(1) - corners[seen, :, 0].amin(1)).clamp_(1, 4096)
    work = torch.cumsum(height[seen] * width, 0)
    limits = torch.arange(_CHUNK, float(work[-1]) + _CHUNK, _CHUNK) if len(work) else torch.zeros(0)
    bounds = torch.searchsorted(work, limits.to(work)).tolist()
    for begin, end in zip([0, *bounds], [*bounds, len(seen)], strict=True):
        chosen = seen[begin:end]
        if len(chosen):
            yield _spans_of(corners[chosen], parity[chosen], chosen, first[chosen], height[chosen], boxes[chosen])


def _spans_of(
    corners: "Tensor", parity: "Tensor", chosen: "Tensor", first: "Tensor", height: "Tensor", boxes: "Tensor"
) -> _Spans:
    """Spans of the triangles ``chosen`` whose ``corners`` (k, 3, 2) are sorted by row."""
    import torch

    own = torch.repeat_interleave(height)
    row = torch.arange(len(own), device=own.device) - (torch.cumsum(height, 0) - height - first)[own]
    level = row.to(torch.float64)
    top, middle, bottom = (corners[:, corner] for corner in range(3))
    long = _crossing(top, bottom, own, level)
    # Of the two short edges the upper ones stand first.
    edge = torch.where(level < middle[:, 1][own], own, own + len(chosen))
    short = _crossing(torch.cat([top, middle]), torch.cat([middle, bottom]), edge, level)
    left = boxes[:, 1].to(torch.float64)[own]
    right = boxes[:, 3].to(torch.float64)[own]
    long = torch.minimum(torch.maximum(long.ceil_(), left), right)
    short = torch.minimum(torch.maximum(short.ceil_(), left), right)
    kept = torch.nonzero(long != short, as_tuple=True)[0]
    own, long, short = own[kept], long[kept], short[kept]
    sign = parity[own] * torch.sign(short - long)
    start = torch.minimum(long, short)
    count = torch.maximum(long, short) - start
    return _Spans(chosen[own], row[kept], start.to(torch.int64), count.to(torch.int64), sign)


def _crossing(upper: "Tensor", lower: "Tensor", own: "Tensor", level: "Tensor") -> "Tensor":
    """Column at which the edges from ``upper`` to ``lower`` (k, 2) cross the rows ``level``."""
    slope = (lower[:, 0] - upper[:, 0]) / (lower[:, 1] - upper[:, 1])
    return upper[:, 0][own] + (level - upper[:, 1][own]) * slope[own]


def _add(total: "Tensor", index: "Tensor", values: "Tensor") -> None:
    """Sum ``values`` at ``index`` into ``total``, in their order on the CPU."""
    total.index_add_(0, index, values)


def _joined(meshes: Sequence[Mesh]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """All vertices, all faces (int64) with their indices moved on, and which mesh a face is of."""
    vertices, faces, owners, count = [np.zeros((0, 3))], [np.zeros((0, 3), dtype=np.int64)], [], 0
    for number, (points, triangles) in enumerate(meshes):
        points = np.asarray(points, dtype=np.float64).reshape(-1, 3)
        triangles = np.asarray(triangles, dtype=np.int64).reshape(-1, 3)
        if not np.isfinite(points).all():
            raise SimulationError(f"rasterising: mesh {number} has vertices that are not finite.")
        if len(triangles) and (triangles.min() < 0 or triangles.max() >= len(points)):
            raise SimulationError(f"rasterising: mesh {number} has faces over vertices that do not exist.")
        vertices.append(points)
        faces.append(triangles + count)
        owners.append(np.full(len(triangles), number))
        count += len(points)
    return np.concatenate(vertices), np.concatenate(faces), np.concatenate([*owners, np.zeros(0, int)]).astype(np.int64)


def _boxes(pixels: np.ndarray, counts: Sequence[int], shape: tuple[int, int]) -> np.ndarray:
    """Rows and columns (top, left, bottom, right) (n, 4) int64 that each mesh can cover within the image."""
    boxes: list[Any] = []
    start = 0
    limit = np.array([shape[1], shape[0]])
    for count in counts:
        own = pixels[start : start + count]
        start += count
        if not count:
            boxes.append((0, 0, 0, 0))
            continue
        low = np.clip(np.floor(own.min(axis=0)), 0, limit).astype(int)
        high = np.clip(np.ceil(own.max(axis=0)) + 1, low, limit).astype(int)
        boxes.append((low[1], low[0], high[1], high[0]))
    return np.array(boxes, dtype=np.int64).reshape(-1, 4)
