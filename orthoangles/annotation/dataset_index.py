"""dataset.json: which cases a dataset has, and which files are theirs.

It is a MONAI datalist (``load_decathlon_datalist(path, False, "cases")`` reads it): a list of cases, each with
``image``, ``points``, ``protocol``, ``group`` (the patient: no split may part a group), ``split`` and ``provenance``.
"""

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from orthoangles.annotation.records import is_rejected
from orthoangles.errors import DatasetError

INDEX = "dataset.json"
SPLITS = ("", "train", "validation", "test")
_FORMAT, _VERSION = "orthoangles-dataset", 1
# No dots: they part the id from the revision and the kind of a file.
_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,100}")


@dataclass(frozen=True)
class Case:
    """One image with its landmarks. ``image``, ``points`` and ``predicted`` are file names in the dataset's
    folder (``predicted`` is "" where no prediction was kept); ``revision`` counts how often the case was
    replaced.
    """

    id: str
    image: str
    points: str
    protocol: str
    group: str
    split: str = ""
    predicted: str = ""
    revision: int = 1
    provenance: Mapping[str, Any] = field(default_factory=dict)

    @property
    def files(self) -> tuple[str, ...]:
        """Names of the files that belong to the case."""
        return tuple(name for name in (self.image, self.points, self.predicted) if name)

    @property
    def rejected(self) -> bool:
        """Whether a reader said that this image is not to be used."""
        return is_rejected(self.provenance)

    def as_json(self) -> dict[str, Any]:
        """The entry in dataset.json."""
        return {
            "id": self.id,
            "image": self.image,
            "points": self.points,
            "predicted": self.predicted,
            "protocol": self.protocol,
            "group": self.group,
            "split": self.split,
            "revision": self.revision,
            "provenance": dict(self.provenance),
        }


def index_content(cases: Iterable[Case]) -> dict[str, Any]:
    """What dataset.json holds for these cases."""
    return {"format": _FORMAT, "version": _VERSION, "cases": [case.as_json() for case in cases]}


def is_case_id(text: Any) -> bool:
    """Whether ``text`` may be the id of a case."""
    return isinstance(text, str) and bool(_ID.fullmatch(text))


def read_index(folder: Path) -> tuple[Case, ...]:
    """The cases that ``folder``/dataset.json names. Raises DatasetError where it is missing or malformed."""
    path = folder / INDEX
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise DatasetError(f"{folder.name}: holds no {INDEX}; is this the folder of a dataset?") from error
    except (OSError, ValueError) as error:
        raise DatasetError(f"{folder.name}/{INDEX}: cannot be read ({error}).") from error
    if not isinstance(content, dict) or content.get("format") != _FORMAT or content.get("version") != _VERSION:
        raise DatasetError(f"{folder.name}/{INDEX}: is not an {_FORMAT} of version {_VERSION}.")
    cases = tuple(_parse_case(folder.name, i, entry) for i, entry in enumerate(content.get("cases", [])))
    ids = [case.id for case in cases]
    twice = sorted({case_id for case_id in ids if ids.count(case_id) > 1}) if len(set(ids)) < len(ids) else []
    if twice:
        raise DatasetError(f"{folder.name}/{INDEX}: case '{twice[0]}' stands there twice.")
    return cases


def _parse_case(dataset: str, number: int, entry: Any) -> Case:
    place = f"{dataset}/{INDEX}: case {number}"
    if not isinstance(entry, dict):
        raise DatasetError(f"{place} is not an object.")
    missing = [key for key in ("id", "image", "points", "protocol", "group") if not isinstance(entry.get(key), str)]
    if missing:
        raise DatasetError(f"{place} has no text '{missing[0]}'.")
    known = {key: value for key, value in entry.items() if key in Case.__dataclass_fields__}
    case = Case(**known)
    check_names(place, case.id, case.group, case.split)
    for name in case.files:
        # A dataset may come from anywhere: it must not name files outside its folder.
        if Path(name).name != name or "\\" in name:
            raise DatasetError(f"{place}: one of its files is not the name of a file in the dataset's folder.")
    return case


def check_names(place: str, case_id: str, group: str, split: str) -> None:
    """DatasetError, beginning with ``place``, where id, group or split of a case are not allowed."""
    if not is_case_id(case_id):
        raise DatasetError(f"{place}: case id '{case_id}' may hold letters, digits, '-', '_' only.")
    if not group:
        raise DatasetError(f"{place}: case '{case_id}' has no group; give each patient one.")
    if split not in SPLITS:
        raise DatasetError(f"{place}: split '{split}' of case '{case_id}' is not one of {', '.join(SPLITS[1:])}.")
