"""Draw the pictures of docs/SIMULATION.md again, from bones built by code.

    python tools/render_simulation_pictures.py

``feet.png``: simulated radiographs as they come. ``deformities.png``: one foot, one named angle after the other, with
the lines and the value that the protocol measures in the picture. ``wbct.png``: slices of one volume. Takes some
minutes; ``--only NAME`` makes one of them.
"""

import argparse
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from orthoangles.measuring import measure
from orthoangles.protocols import load_protocol
from orthoangles.simulation.foot import FootOptions, SimulatedFoot, simulate_foot
from orthoangles.simulation.threads import one_thread

FOLDER = Path(__file__).parents[1] / "docs" / "simulation"
CAPTION, GAP = 20, 6
YELLOW, RED = (255, 210, 63), (255, 90, 54)
SEEDS = range(8)
"""Of feet.png: the first eight, not chosen."""
FEET_HEIGHT, GREYS = 300, 96
"""Rows of each radiograph in feet.png, and grey levels: noise costs bytes."""
DEFORMED_SEED = 3
HALLUX = [{"hallux_valgus": v, "intermetatarsal": i} for v, i in ((-10, 6), (15, 9), (40, 14), (60, 18))]
ARCHES = [{"calcaneal_pitch": pitch, "meary": meary} for pitch, meary in ((6, 20), (20, 2), (34, -15))]
FOREFOOT_GAMMA = 0.7
"""The plain style shows the whole range of grey, and the leg takes most of it: brighter, for the toes to be seen."""
BONE_WINDOW = (-250, 1100)
"""HU shown from black to white in wbct.png."""


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    pictures = {"feet": feet, "deformities": deformities, "wbct": wbct}
    parser.add_argument("--only", choices=tuple(pictures))
    parser.add_argument("--output", type=Path, default=FOLDER)
    options = parser.parse_args()
    options.output.mkdir(parents=True, exist_ok=True)
    for name, draw in pictures.items():
        if options.only in (None, name):
            with one_thread():
                draw().save(options.output / f"{name}.png", optimize=True)


def feet():
    """AP and lateral radiographs of the first seeds, as ``simulate foot`` makes them."""
    tiles = []
    for seed in SEEDS:
        foot = simulate_foot(FootOptions(), seed)
        tiles.append(_row([_scaled(image, FEET_HEIGHT) for image in (foot.ap.image, foot.lateral.image)], gap=0))
    half = len(tiles) // 2
    sheet = _column([_row(tiles[:half]), _row(tiles[half:])])
    return sheet.convert("L").quantize(GREYS, dither=0)


def deformities():
    """One foot in the plain style: hallux valgus on AP radiographs, flat to high arch on lateral ones."""
    above = [_measured(angles, "ap", "foot-ap-hallux", 620) for angles in HALLUX]
    below = [_measured(angles, "lateral", "foot-lateral", 312) for angles in ARCHES]
    return _column([_row(above), _row(below)]).quantize(128, dither=0)


def _measured(angles: Mapping[str, float], view: str, protocol_id: str, height: int):
    foot = simulate_foot(FootOptions(plain=True, views=(view,), angles=angles, variation=0), DEFORMED_SEED)
    protocol, radiograph = load_protocol(protocol_id), getattr(foot, view)
    points = np.array([[*radiograph.points[name], 0.0] for name in protocol.landmark_ids])
    found = measure(protocol, points, laterality=foot.posed.side)
    shown = ("hallux-valgus-angle", "intermetatarsal-angle") if view == "ap" else ("calcaneal-pitch", "meary-angle")
    entries = [found.by_id(name) for name in shown]
    grey = 255 * (radiograph.image / 255) ** (FOREFOOT_GAMMA if view == "ap" else 1.0)
    picture = _scaled(np.round(grey).astype(np.uint8), height).convert("RGB")
    scale = height / len(radiograph.image)
    lines = [[axis.start[:2] * scale, axis.end[:2] * scale] for entry in entries for axis in entry.axes]
    _draw(picture, lines, points[:, :2] * scale)
    if view == "ap":
        # The leg's shadow covers the hindfoot; the rays are what is looked at.
        picture = picture.crop((0, 0, picture.width, round(0.72 * picture.height)))
    names = ("HVA", "IMA") if view == "ap" else ("pitch", "Meary")
    asked = " / ".join(f"{value:g}" for value in angles.values())
    values = ", ".join(f"{name} {entry.value:.2f}" for name, entry in zip(names, entries, strict=True))
    return _captioned(picture, [f"set {asked}", values])


def wbct():
    """Sagittal, frontal and axial slices of one volume in a random style, its landmarks within 3 mm as dots."""
    foot = simulate_foot(FootOptions(views=("wbct",), angles={"calcaneal_pitch": 20, "meary": 2}), 4)
    sagittal, frontal, axial = (_slice(foot, axis, at, title) for axis, at, title in _planes(foot))
    return _row([_column([sagittal, axial]), frontal])


def _planes(foot: SimulatedFoot) -> Sequence[tuple[int, float, str]]:
    """Array axis (z, y, x), LPS mm where it is cut, title."""
    points = foot.wbct.points
    return (
        (2, points["TA1"][0], "sagittal, through the talar dome"),
        (1, points["TA1"][1], "frontal, through the talar dome"),
        (0, points["M1a"][2], "axial, through the base of the first metatarsal"),
    )


def _slice(foot: SimulatedFoot, axis: int, at: float, title: str):
    from PIL import Image

    volume = foot.wbct
    index = round(float((at - volume.origin[2 - axis]) / volume.spacing[2 - axis]))
    grey = volume.array.take(index, axis=axis).astype(np.float32)
    low, high = BONE_WINDOW
    grey = np.clip((grey - low) / (high - low) * 255, 0, 255).astype(np.uint8)
    # The column runs along y (along x in the frontal slice), the row along z (along x in the axial one).
    column, row = ((1, 0), (0, 2), (1, 2))[axis]
    grey = grey.T if axis == 0 else grey
    near = [point for point in volume.points.values() if abs(point[2 - axis] - at) < 3]
    pixels = np.array([(point - volume.origin) / volume.spacing for point in near])[:, [column, row]]
    if row == 2:
        grey, pixels[:, 1] = grey[::-1], len(grey) - 1 - pixels[:, 1]
    picture = Image.fromarray(np.ascontiguousarray(grey)).convert("RGB")
    _draw(picture, [], pixels)
    return _captioned(picture, [title])


def _draw(picture, lines: Sequence[Sequence[np.ndarray]], points: np.ndarray) -> None:
    from PIL import ImageDraw

    pen = ImageDraw.Draw(picture)
    for start, end in lines:
        pen.line([tuple(start), tuple(end)], fill=YELLOW, width=2)
    for x, y in points:
        pen.ellipse((x - 2, y - 2, x + 2, y + 2), fill=RED)


def _scaled(image: np.ndarray, height: int):
    from PIL import Image

    size = round(image.shape[1] * height / image.shape[0]), height
    return Image.fromarray(image).resize(size, Image.Resampling.LANCZOS)


def _captioned(picture, lines: Sequence[str]):
    from PIL import Image, ImageDraw, ImageFont

    tile = Image.new("RGB", (picture.width, picture.height + CAPTION * len(lines)))
    tile.paste(picture, (0, 0))
    pen, font = ImageDraw.Draw(tile), ImageFont.load_default(14)
    for k, line in enumerate(lines):
        pen.text((4, picture.height + k * CAPTION), line, fill=(230, 230, 230), font=font)
    return tile


def _row(tiles: Sequence, gap: int = GAP):
    return _arranged(tiles, gap, along=0)


def _column(tiles: Sequence, gap: int = GAP):
    return _arranged(tiles, gap, along=1)


def _arranged(tiles: Sequence, gap: int, along: int):
    """Side by side (``along`` 0) or one below the other (1)."""
    from PIL import Image

    sizes = np.array([tile.size for tile in tiles])
    size = sizes.max(axis=0)
    size[along] = sizes[:, along].sum() + gap * (len(tiles) - 1)
    sheet = Image.new("RGB", tuple(int(n) for n in size))
    place = [0, 0]
    for tile in tiles:
        sheet.paste(tile, tuple(place))
        place[along] += tile.size[along] + gap
    return sheet


if __name__ == "__main__":
    main()
