"""A dataset as COCO keypoints: annotations.json beside a folder of PNG images."""

from collections.abc import Iterable
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np

import orthoangles
from orthoangles.annotation.exports.selection import USABLE_STATES, ExportReport, Progress, Selection, output_folder
from orthoangles.annotation.interchange import KEY, ExportedCase, case_block, image_block
from orthoangles.annotation.picture_files import write_grey_png
from orthoangles.annotation.records import protocol_record
from orthoangles.atomic import remove_leftovers, replacing, write_json

ANNOTATIONS = "annotations.json"


def write_coco(
    dataset, output: Path | str, *, states: Iterable[str] = USABLE_STATES, progress: Progress | None = None
) -> ExportReport:
    """Write the cases of a dataset as COCO keypoints to the folder ``output``.

    A category is a protocol with its landmark ids as keypoints, an annotation a case; readers of one image share it.
    Keypoints are (column, row, visibility), the middle of the first pixel being (0, 0); visibility is 0 unset, 1 hidden
    or outside the image, 2 visible; ``confidence`` (null where unknown) is the network's. Images have no header. The
    annotations are written last and at once: a killed export leaves those of the export before. Raises DatasetError.
    """
    selection = Selection(dataset, states, progress)
    content = _Content()
    with output_folder(Path(output), selection) as folder:
        images = folder / "images"
        images.mkdir(exist_ok=True)
        remove_leftovers(images)
        for exported in selection.cases():
            content.add(exported, images)
        write_json(folder / ANNOTATIONS, content.as_json())
    return selection.report()


class _Content:
    """Collects images, annotations and categories."""

    def __init__(self) -> None:
        self._images: dict[str, dict[str, Any]] = {}
        self._categories: dict[str, dict[str, Any]] = {}
        self._annotations: list[dict[str, Any]] = []

    def add(self, exported: ExportedCase, folder: Path) -> None:
        """Write the image of a case, unless another case has the same, and note the case."""
        digest, protocol = exported.image.sha256, exported.protocol
        if digest not in self._images:
            name = f"{digest[:16]}.png"
            with replacing(folder / name) as temporary:
                write_grey_png(exported.image.array[0], temporary)
            columns, rows, _ = exported.image.size
            self._images[digest] = {
                "id": len(self._images) + 1,
                "file_name": f"{folder.name}/{name}",
                "width": columns,
                "height": rows,
                KEY: image_block(exported),
            }
        category = self._categories.setdefault(protocol.id, _category(protocol, len(self._categories) + 1))
        self._annotations.append(
            {
                "id": len(self._annotations) + 1,
                "image_id": self._images[digest]["id"],
                "category_id": category["id"],
                **_keypoints(exported),
                KEY: case_block(exported),
            }
        )

    def as_json(self) -> dict[str, Any]:
        """The file."""
        return {
            "info": {"description": "Landmarks from OrthoAngles", "version": f"orthoangles {orthoangles.__version__}"},
            "licenses": [],
            "images": list(self._images.values()),
            "annotations": self._annotations,
            "categories": list(self._categories.values()),
        }


def _category(protocol, number: int) -> dict[str, Any]:
    return {
        "id": number,
        "name": protocol.id,
        "supercategory": protocol.region,
        "keypoints": list(protocol.landmark_ids),
        "skeleton": _skeleton(protocol),
        KEY: protocol_record(protocol),
    }


def _skeleton(protocol) -> list[list[int]]:
    """Pairs of keypoints, counted from 1, that tools join by lines: the axes that run between single landmarks."""
    chains = [axis.points or (*axis.start, *axis.end) for axis in protocol.axes]
    ids = {landmark_id: i for i, landmark_id in enumerate(protocol.landmark_ids, start=1)}
    chains = [chain for chain in chains if len(chain) > 1 and all(name in ids for name in chain)]
    return sorted({(ids[a], ids[b]) for chain in chains for a, b in pairwise(chain)})


def _keypoints(exported: ExportedCase) -> dict[str, Any]:
    visible = exported.visible
    places = np.where(visible[:, None] > 0, exported.points[:, :2], 0.0)
    shown = places[visible > 0]
    low, high = (shown.min(axis=0), shown.max(axis=0)) if len(shown) else (np.zeros(2), np.zeros(2))
    rows = zip(places.tolist(), visible.tolist(), strict=True)
    return {
        "keypoints": [number for place, seen in rows for number in (*place, seen)],
        "num_keypoints": int((visible > 0).sum()),
        "confidence": [float(value) if np.isfinite(value) else None for value in exported.confidence],
        "bbox": [*low.tolist(), *(high - low).tolist()],
        "area": float(np.prod(high - low)),
        "iscrowd": 0,
    }
