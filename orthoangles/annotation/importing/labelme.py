"""labelme files: one JSON per image, landmarks as points."""

import base64
import binascii
import json
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from orthoangles.annotation.dataset import Dataset
from orthoangles.annotation.exports.labelme import PIXEL_MIDDLE
from orthoangles.annotation.importing.foreign import ForeignCase, ForeignCases, ImageFiles, check_size
from orthoangles.annotation.importing.landmark_names import find_protocol, match_landmarks
from orthoangles.annotation.importing.report import ImportReport, Log, Progress, SourceNames
from orthoangles.annotation.interchange import KEY, case_facts, placed_image
from orthoangles.errors import DatasetError, OrthoAnglesError


def import_labelme(
    source: Path | str,
    output: Path | str,
    progress: Progress | None = None,
    *,
    protocol: str | None = None,
    match: str = "name",
    show_names: bool = False,
) -> ImportReport:
    """Import a folder of labelme files with their images beside them or inside them (``imageData``).

    Points are landmarks by their label, or by order (``match``), of the only protocol that knows them unless
    ``protocol`` names one; other shapes are passed over. Points with a ``group_id`` of their own are cases of their
    own. The group of a case is its image's digest unless the file is an export of ours. Raises DatasetError where
    there is no labelme file.
    """
    source = Path(source)
    names = SourceNames(shown=show_names)
    files = sorted(source.glob("*.json")) if source.is_dir() else []
    if not files:
        with names.hiding(source):
            raise DatasetError(f"{source.name}: is no folder with labelme's .json files in it.")
    names = SourceNames((path.name for path in files), shown=show_names)
    reader = _Reader(ImageFiles(source), names, protocol, match)
    log = Log()
    with Dataset(output).adding(flush_every=25) as add:
        cases = ForeignCases(add, log)
        for number, path in enumerate(files, start=1):
            try:
                for case in reader.cases(path):
                    cases.add(case)
            except OrthoAnglesError as error:
                log.fail(names.file(path.name), reader.reason(error, path))
            if progress:
                progress(number / len(files), log.imported[-1] if log.imported else "")
    return log.report()


class _Reader:
    """Files to cases."""

    def __init__(self, files: ImageFiles, names: SourceNames, protocol: str | None, match: str) -> None:
        self._files, self._names, self._protocol_id, self._match = files, names, protocol, match
        self._image_name = ""

    def reason(self, error: OrthoAnglesError, path: Path) -> str:
        """The text of an error without a file's name."""
        text = self._names.reason(error, path.name)
        hide = self._image_name and not self._names.shown
        return text.removeprefix(f"{self._image_name}: ").replace(self._image_name, "the image") if hide else text

    def cases(self, path: Path) -> list[ForeignCase]:
        """The cases of one file. Raises DatasetError or ImageError."""
        self._image_name = ""
        content = _read(path)
        people = _points_by_group(content["shapes"])
        if not people:
            raise DatasetError("it has no points; landmarks are labelme's points.")
        block = content.get(KEY)
        block = block if isinstance(block, dict) else {}
        image = placed_image(self._image(content), block.get("image"))
        return [self._case(image, points, block) for points in people.values()]

    def _case(self, image, labelled: list[tuple[str, list[float]]], block: Mapping[str, Any]) -> ForeignCase:
        labels = [label for label, _ in labelled]
        protocol = find_protocol(labels, self._protocol_id or _stated(block), self._match)
        rows = match_landmarks(labels, protocol, self._match, self._names)
        points = np.full((len(protocol.landmarks), 3), np.nan)
        points[rows, :2] = np.array([place for _, place in labelled]) - PIXEL_MIDDLE
        points[rows, 2] = 0
        return ForeignCase("labelme", image, protocol, points, case_facts(block, len(protocol.landmarks)))

    def _image(self, content: Mapping[str, Any]):
        from orthoangles.images import require_radiograph

        name = content.get("imagePath")
        image = require_radiograph(self._read_image(name, content.get("imageData")))
        check_size(image, content.get("imageWidth"), content.get("imageHeight"))
        return image

    def _read_image(self, name: Any, data: Any):
        from orthoangles.images import read_image

        if not data:
            path = self._files.find(name if isinstance(name, str) else "")
            self._image_name = path.name
            return read_image(path)
        try:
            inside = base64.b64decode(data, validate=True)
        except (TypeError, ValueError, binascii.Error):
            raise DatasetError("its imageData is damaged; save it again.") from None
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "imageData"
            path.write_bytes(inside)
            return read_image(path)


def _stated(block: Mapping[str, Any]) -> str | None:
    from orthoangles.protocols import available_protocols

    stated = block.get("protocol")
    known = stated.get("id") if isinstance(stated, dict) else None
    return known if known in available_protocols() else None


def _read(path: Path) -> dict[str, Any]:
    try:
        content = json.loads(path.read_text(encoding="utf-8-sig"))
    except OSError as error:
        raise DatasetError(f"cannot be read ({error.strerror}).") from None
    except (ValueError, RecursionError):
        raise DatasetError("is not a JSON file; save it again.") from None
    shapes = content.get("shapes") if isinstance(content, dict) else None
    if not isinstance(shapes, list) or not all(isinstance(shape, dict) for shape in shapes):
        raise DatasetError("is no labelme file: it has no list 'shapes'.")
    return content


def _points_by_group(shapes: list[dict[str, Any]]) -> dict[str, list[tuple[str, list[float]]]]:
    found: dict[str, list[tuple[str, list[float]]]] = {}
    for number, shape in enumerate(shapes, start=1):
        if shape.get("shape_type", "point") != "point":
            continue
        try:
            (place,) = np.array(shape["points"], dtype=np.float64).reshape(-1, 2).tolist()
        except (KeyError, TypeError, ValueError):
            raise DatasetError(f"shape {number} is no point of two numbers.") from None
        if not np.isfinite(place).all():
            raise DatasetError(f"shape {number} is no point of two numbers.")
        found.setdefault(str(shape.get("group_id")), []).append((str(shape.get("label", "")), place))
    return found
