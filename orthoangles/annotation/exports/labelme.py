"""A dataset as labelme files: ID.json beside ID.png, one of each per case."""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np

from orthoangles.annotation.exports.selection import USABLE_STATES, ExportReport, Progress, Selection, output_folder
from orthoangles.annotation.interchange import KEY, ExportedCase, case_block, image_block
from orthoangles.annotation.picture_files import write_grey_png
from orthoangles.atomic import replacing, write_json

PIXEL_MIDDLE = 0.5
"""labelme counts from the corner of the first pixel: its middle is (0.5, 0.5)."""


def write_labelme(
    dataset, output: Path | str, *, states: Iterable[str] = USABLE_STATES, progress: Progress | None = None
) -> ExportReport:
    """Write the cases of a dataset as labelme files to the folder ``output``, set landmarks as points.

    A case is there when its JSON file is; the image is written before it. Raises DatasetError.
    """
    selection = Selection(dataset, states, progress)
    with output_folder(Path(output), selection) as folder:
        for exported in selection.cases():
            name = exported.case.id
            with replacing(folder / f"{name}.png") as temporary:
                write_grey_png(exported.image.array[0], temporary)
            write_json(folder / f"{name}.json", _content(exported, f"{name}.png"))
    return selection.report()


def _content(exported: ExportedCase, picture: str) -> dict[str, Any]:
    columns, rows, _ = exported.image.size
    places = zip(exported.protocol.landmark_ids, exported.points[:, :2] + PIXEL_MIDDLE, strict=True)
    return {
        "version": "5.5.0",
        "flags": {},
        "shapes": [_shape(name, place) for name, place in places if np.isfinite(place).all()],
        "imagePath": picture,
        "imageData": None,
        "imageHeight": rows,
        "imageWidth": columns,
        KEY: {"image": image_block(exported), **case_block(exported)},
    }


def _shape(name: str, place: np.ndarray) -> dict[str, Any]:
    return {
        "label": name,
        "points": [place.tolist()],
        "group_id": None,
        "description": "",
        "shape_type": "point",
        "flags": {},
    }
