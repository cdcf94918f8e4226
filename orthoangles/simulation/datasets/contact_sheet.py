"""A contact sheet: the first simulated images of a dataset side by side, their landmarks as small rings."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from orthoangles.annotation.dataset import Case, Dataset
from orthoangles.atomic import write_with

CONTACT_SHEET = "contact-sheet.png"
_HEIGHT, _WIDEST, _CAPTION, _SHEET_WIDTH = 320, 480, 14, 1900
_RING = (255, 200, 0, 170)


def write_contact_sheet(dataset: Dataset, cases: Sequence[Case], most: int = 24) -> Path | None:
    """Write ``contact-sheet.png`` of the first ``most`` images of ``cases``; its path, or None where there are none.

    An image that several protocols share is shown once, with the landmarks of all. Of a volume the greatest values
    along x and along y are shown, as a lateral and a frontal picture.
    """
    by_image: dict[bytes, list[Case]] = {}
    for case in cases:
        group = by_image.setdefault(_same_file(dataset.image_path(case)), [])
        group.append(case)
        if len(by_image) > most:
            by_image.popitem()
            break
    tiles = [tile for same in by_image.values() for tile in _tiles(dataset, same)]
    if not tiles:
        return None
    sheet = _arranged(tiles)
    path = dataset.folder / CONTACT_SHEET
    write_with(path, lambda temporary: sheet.save(temporary, optimize=False))
    return path


def _same_file(path: Path) -> tuple[int, int] | str:
    """Equal for two names of one file."""
    status = path.stat()
    return (status.st_dev, status.st_ino) if status.st_ino else str(path)


def _tiles(dataset: Dataset, cases: Sequence[Case]) -> list:
    from orthoangles.protocols import load_protocol

    image = dataset.read_image(cases[0])
    points = [dataset.read_points(case, load_protocol(case.protocol).landmark_ids) for case in cases]
    points = np.unique(np.concatenate(points), axis=0)
    index = image.index_points(points[np.isfinite(points).all(axis=1)])
    name = cases[0].id.removeprefix("simulated-")
    if image.array.shape[0] == 1:
        return [_tile(image.array[0], index[:, :2], name, (1.0, 1.0))]
    # Index axes (i, j, k) are x, y, z of the voxels; pictures have the head end of the volume at the top.
    up = image.array[::-1]
    k = image.array.shape[0] - 1 - index[:, 2]
    spacing = np.asarray(image.spacing)
    return [
        _tile(up.max(axis=2), np.column_stack([index[:, 1], k]), f"{name} side", (spacing[1], spacing[2])),
        _tile(up.max(axis=1), np.column_stack([index[:, 0], k]), f"{name} front", (spacing[0], spacing[2])),
    ]


def _tile(grey: np.ndarray, points: np.ndarray, name: str, spacing: tuple[float, float]):
    """A picture ``_HEIGHT`` pixels high with its name below; ``points`` (n, 2) column, row; ``spacing`` mm per column
    and row.
    """
    from PIL import Image, ImageDraw

    rows, columns = grey.shape
    scale = min(_HEIGHT / (rows * spacing[1]), _WIDEST / (columns * spacing[0]))
    size = max(round(columns * spacing[0] * scale), 1), max(round(rows * spacing[1] * scale), 1)
    small = Image.fromarray(_grey_levels(grey)).resize(size, Image.Resampling.LANCZOS).convert("RGB")
    rings = Image.new("RGBA", size)
    pen = ImageDraw.Draw(rings)
    for column, row in points:
        x, y = (column + 0.5) * size[0] / columns, (row + 0.5) * size[1] / rows
        pen.ellipse((x - 2, y - 2, x + 2, y + 2), outline=_RING)
    small.paste(rings, mask=rings)
    tile = Image.new("RGB", (max(size[0], 110), _HEIGHT + _CAPTION))
    tile.paste(small, ((tile.width - size[0]) // 2, (_HEIGHT - size[1]) // 2))
    ImageDraw.Draw(tile).text((3, _HEIGHT + 1), name, fill=(200, 200, 200))
    return tile


def _grey_levels(grey: np.ndarray) -> np.ndarray:
    """uint8: radiographs as they are, others between their extreme percents."""
    if grey.dtype == np.uint8:
        return grey
    low, high = np.percentile(grey[::4, ::4], [0.5, 99.5])
    return np.clip((grey.astype(np.float32) - low) / max(high - low, 1e-6) * 255, 0, 255).astype(np.uint8)


def _arranged(tiles: Sequence):
    """Tiles in their order, each row as full as it gets."""
    from PIL import Image

    rows: list[list] = [[]]
    for tile in tiles:
        if rows[-1] and sum(each.width for each in rows[-1]) + tile.width > _SHEET_WIDTH:
            rows.append([])
        rows[-1].append(tile)
    width = max(sum(tile.width for tile in row) for row in rows)
    sheet = Image.new("RGB", (width, len(rows) * tiles[0].height))
    for number, row in enumerate(rows):
        x = 0
        for tile in row:
            sheet.paste(tile, (x, number * tile.height))
            x += tile.width
    return sheet
