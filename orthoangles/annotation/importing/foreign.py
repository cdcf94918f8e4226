"""One labelled image of another tool into a dataset."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from orthoangles.annotation.checking import label_flags
from orthoangles.annotation.importing.report import Log
from orthoangles.annotation.interchange import CaseFacts
from orthoangles.annotation.picture_files import image_suffix, write_image
from orthoangles.annotation.records import image_record, protocol_record
from orthoangles.errors import DatasetError


@dataclass(frozen=True, eq=False)
class ForeignCase:
    """An image with ``points`` (n, 3) px in the protocol's order, NaN where unset; ``occluded``: ids of hidden ones."""

    source: str
    image: Any
    protocol: Any
    points: np.ndarray
    facts: CaseFacts = field(default_factory=CaseFacts)
    occluded: tuple[str, ...] = ()


class ForeignCases:
    """Adds cases to a dataset by ``add`` and notes them in ``log``; ids are made of digests, never of file names."""

    def __init__(self, add, log: Log) -> None:
        self._add, self._log = add, log
        self._used: set[str] = set()

    def add(self, foreign: ForeignCase) -> str:
        """Write one case and return its id. Raises DatasetError."""
        image, protocol, facts = foreign.image, foreign.protocol, foreign.facts
        points = image.physical_points(foreign.points)
        flags = label_flags(protocol, points, image)
        record = image_record(image)
        case = self._add(
            self._new_id(facts.id or f"{image.sha256[:12]}-{protocol.id}"),
            image_suffix=image_suffix(image),
            write_image=lambda path: write_image(image, path),
            protocol=protocol,
            points=points,
            predicted=None if facts.predicted is None else image.physical_points(facts.predicted),
            confidence=facts.confidence,
            spread=facts.spread,
            group=facts.group or image.sha256[:16],
            split=facts.split,
            provenance=_provenance(foreign, record, flags),
        )
        self._log.add(case.id, flags, record["burned_in_text"])
        return case.id

    def _new_id(self, wanted: str) -> str:
        """``wanted``, or ``wanted-2`` for a second case of one image."""
        case_id, number = wanted, 1
        while case_id in self._used:
            number += 1
            case_id = f"{wanted}-{number}"
        self._used.add(case_id)
        return case_id


def _provenance(foreign: ForeignCase, record: Mapping[str, Any], flags: tuple[str, ...]) -> dict[str, Any]:
    provenance = {
        "source": foreign.source,
        "protocol": protocol_record(foreign.protocol),
        "image": record,
        "label_flags": list(flags),
    }
    if foreign.occluded:
        provenance["occluded"] = list(foreign.occluded)
    if foreign.facts.review:
        provenance["review"] = dict(foreign.facts.review)
    if foreign.facts.model:
        provenance["model"] = dict(foreign.facts.model)
    return provenance


class ImageFiles:
    """The files below a folder, found by the path or name that an annotation file gives them.

    Only files below the folder are found, whatever the annotation says.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._by_name: dict[str, list[Path]] = {}
        for path in sorted(folder.rglob("*")):
            if path.is_file():
                self._by_name.setdefault(path.name, []).append(path)

    def find(self, name: str) -> Path:
        """The file whose path ends as ``name`` does. Raises DatasetError, which does not quote it."""
        parts = [part for part in str(name).replace("\\", "/").split("/") if part not in ("", ".", "..")]
        paths = self._by_name.get(parts[-1], []) if parts else []
        if len(paths) > 1:
            # Of several files of one name it is the one with the most folders in common.
            shared = [_common_end(path.relative_to(self._folder).parts, parts) for path in paths]
            paths = [path for path, count in zip(paths, shared, strict=True) if count == max(shared)]
        if len(paths) != 1:
            raise DatasetError("its image is missing." if not paths else "there are several images of its name.")
        return paths[0]


def _common_end(a, b) -> int:
    count = 0
    for x, y in zip(reversed(a), reversed(b), strict=False):
        if x != y:
            break
        count += 1
    return count


def check_size(image, columns: Any, rows: Any) -> None:
    """DatasetError where labels were set on an image of another size; None for a size not stated."""
    if (columns or image.size[0], rows or image.size[1]) != image.size[:2]:
        raise DatasetError(
            f"its image has {image.size[0]} x {image.size[1]} pixels, but was labelled at another size; "
            "give the image that was labelled."
        )
