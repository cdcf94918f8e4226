"""COCO keypoints, as this extension or other annotation tools write them."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from orthoangles.annotation.dataset import Dataset
from orthoangles.annotation.importing.foreign import ForeignCase, ForeignCases, ImageFiles, check_size
from orthoangles.annotation.importing.landmark_names import find_protocol, match_landmarks
from orthoangles.annotation.importing.report import ImportReport, Log, Progress, SourceNames
from orthoangles.annotation.interchange import KEY, case_facts, placed_image
from orthoangles.errors import DatasetError, OrthoAnglesError


def import_coco(
    source: Path | str,
    output: Path | str,
    progress: Progress | None = None,
    *,
    protocol: str | None = None,
    match: str = "name",
    show_names: bool = False,
) -> ImportReport:
    """Import COCO keypoints: a JSON file, or a folder that holds one, with the images anywhere beside or below it.

    A category's keypoints are landmarks by name, or by order (``match``), of the only protocol that knows them unless
    ``protocol`` names one. Keypoints of visibility 0 are unset; those of 1 are noted as ``occluded``. The group of a
    case is its image's digest unless the file is an export of ours. Several annotations of an image are several cases.
    Raises DatasetError where the file is no COCO file or nothing of it fits.
    """
    source = Path(source)
    names = SourceNames(shown=show_names)
    with names.hiding(source):
        path = _annotation_file(source)
    with names.hiding(path):
        content = _read(path)
    reader = _Reader(content, ImageFiles(path.parent if source.is_file() else source), names, protocol, match)
    log = Log()
    annotations = content["annotations"]
    with Dataset(output).adding(flush_every=25) as add:
        cases = ForeignCases(add, log)
        for number, annotation in enumerate(annotations, start=1):
            try:
                cases.add(reader.case(annotation))
            except OrthoAnglesError as error:
                log.fail(reader.title(annotation, number), reader.reason(error))
            if progress:
                progress(number / len(annotations), log.imported[-1] if log.imported else "")
    return log.report()


def _annotation_file(source: Path) -> Path:
    if source.is_file():
        return source
    found = [path for path in sorted(source.rglob("*.json")) if path.is_file()] if source.is_dir() else []
    if len(found) != 1:
        what = "no JSON file" if not found else f"{len(found)} JSON files"
        raise DatasetError(f"{source.name}: holds {what}; give the COCO annotation file itself.")
    return found[0]


def _read(path: Path) -> dict[str, Any]:
    try:
        content = json.loads(path.read_text(encoding="utf-8-sig"))
    except OSError as error:
        raise DatasetError(f"{path.name}: cannot be read ({error.strerror}).") from None
    except (ValueError, RecursionError):
        raise DatasetError(f"{path.name}: is not a JSON file; export it again.") from None
    for key in ("images", "annotations", "categories"):
        entries = content.get(key) if isinstance(content, dict) else None
        if not isinstance(entries, list) or not all(isinstance(entry, dict) for entry in entries):
            raise DatasetError(f"{path.name}: is no COCO file: it has no list '{key}' of objects.")
    return content


class _Reader:
    """Annotations to cases."""

    def __init__(
        self, content: Mapping[str, Any], files: ImageFiles, names: SourceNames, protocol: str | None, match: str
    ) -> None:
        self._images = {str(image.get("id")): image for image in content["images"]}
        self._categories = {str(category.get("id")): category for category in content["categories"]}
        self._numbers = {key: number for number, key in enumerate(self._images, start=1)}
        self._files, self._names, self._protocol_id, self._match = files, names, protocol, match
        self._mappings: dict[str, tuple[Any, list[int]]] = {}
        self._file_name = ""
        self._last: tuple[str, Any] = ("", None)

    def title(self, annotation: Mapping[str, Any], number: int) -> str:
        """What an annotation is called in a message."""
        image = str(annotation.get("image_id"))
        if image not in self._images:
            return f"annotation {number}"
        shown = self._images[image].get("file_name") if self._names.shown else self._numbers[image]
        return f"annotation {number} of image {shown}"

    def reason(self, error: OrthoAnglesError) -> str:
        """The text of an error without a file's name."""
        return self._names.reason(error, self._file_name) if self._file_name else str(error)

    def case(self, annotation: Mapping[str, Any]) -> ForeignCase:
        """The case of one annotation. Raises DatasetError or ImageError."""
        self._file_name = ""
        protocol, rows = self._mapping(str(annotation.get("category_id")))
        keypoints = _keypoints(annotation.get("keypoints"), len(rows))
        image = self._image(str(annotation.get("image_id")))
        points = np.full((len(protocol.landmarks), 3), np.nan)
        placed = keypoints[:, 2] > 0
        targets = np.array(rows)[placed]
        points[targets] = np.column_stack([keypoints[placed, :2], np.zeros(placed.sum())])
        inside = (points[:, :2] > -0.5).all(axis=1) & (points[:, :2] < np.array(image.size[:2]) - 0.5).all(axis=1)
        hidden = [row for row, key in zip(rows, keypoints, strict=True) if key[2] == 1 and inside[row]]
        facts = case_facts(annotation.get(KEY), len(protocol.landmarks))
        return ForeignCase(
            "coco", image, protocol, points, facts, tuple(protocol.landmark_ids[row] for row in sorted(hidden))
        )

    def _mapping(self, key: str) -> tuple[Any, list[int]]:
        """Protocol of a category, and the landmark of each of its keypoints."""
        if key not in self._mappings:
            category = self._categories.get(key)
            labels = category.get("keypoints") if category else None
            if not isinstance(labels, list) or not labels:
                raise DatasetError("its category has no list of keypoints; only categories with keypoints are taken.")
            stated = category.get(KEY)
            known = stated.get("id") if isinstance(stated, dict) and self._match == "name" else None
            protocol = self._protocol(labels, known)
            self._mappings[key] = (protocol, match_landmarks(labels, protocol, self._match, self._names, "keypoint"))
        return self._mappings[key]

    def _protocol(self, labels: list[str], known: Any):
        from orthoangles.protocols import available_protocols

        stated = known if known in available_protocols() else None
        return find_protocol(labels, self._protocol_id or stated, self._match)

    def _image(self, key: str):
        """The image of that id; the last one is kept, since several annotations of one follow each other."""
        from orthoangles.images import read_image, require_radiograph

        entry = self._images.get(key)
        if entry is None:
            raise DatasetError("its image is not among the file's images.")
        if self._last[0] != key:
            path = self._files.find(entry.get("file_name", ""))
            self._file_name = path.name
            image = require_radiograph(read_image(path))
            check_size(image, entry.get("width"), entry.get("height"))
            self._last = (key, placed_image(image, entry.get(KEY)))
        return self._last[1]


def _keypoints(values: Any, count: int) -> np.ndarray:
    """(count, 3): column, row, visibility."""
    try:
        keypoints = np.array(values, dtype=np.float64)
    except (TypeError, ValueError):
        keypoints = np.empty(0)
    if keypoints.shape != (3 * count,) or not np.isfinite(keypoints).all():
        raise DatasetError(f"its keypoints are not {count} times column, row and visibility.")
    return keypoints.reshape(count, 3)
