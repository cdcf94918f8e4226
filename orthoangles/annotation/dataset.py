"""A dataset: a folder with dataset.json beside one image and one .mrk.json per case.

dataset.json is a MONAI datalist (``load_decathlon_datalist(path, False, "cases")`` reads it): a list of
cases, each with ``image``, ``points``, ``protocol``, ``group`` (the patient: no split may part a group),
``split`` and ``provenance``. It is the only truth: a case is there when dataset.json names its files, and
these files are never changed after that. So a writer killed at any moment leaves the old dataset or the new
one.
"""

import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from orthoangles.annotation.locking import folder_lock
from orthoangles.annotation.markups_json import read_markups, write_markups
from orthoangles.atomic import remove_leftovers, replacing, write_json
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


class Dataset:
    """The dataset in ``folder``. Cheap to make: nothing is read or written before it is asked for.

    >>> dataset = Dataset(Path("corrections"))                                              # doctest: +SKIP
    >>> [case.group for case in dataset.cases if "confirmed" == case.provenance["review"]["state"]]  #
    doctest: +SKIP
    """

    def __init__(self, folder: Path | str) -> None:
        self.folder = Path(folder)

    @property
    def exists(self) -> bool:
        """Whether the folder holds a dataset.json."""
        return (self.folder / INDEX).is_file()

    @property
    def cases(self) -> tuple[Case, ...]:
        """All cases, as dataset.json names them now. Raises DatasetError where it is missing or malformed."""
        return _read_index(self.folder)

    def case(self, case_id: str) -> Case:
        """The case of this id. Raises DatasetError where there is none."""
        for case in self.cases:
            if case.id == case_id:
                return case
        raise DatasetError(f"{self.folder.name}: has no case '{case_id}'.")

    # --- reading a case
    def image_path(self, case: Case) -> Path:
        """Where the image lies."""
        return self.folder / case.image

    def read_image(self, case: Case):
        """The :class:`orthoangles.images.Image` of a case, named by its id."""
        from orthoangles.images import read_image

        image = replace(read_image(self.image_path(case)), name=case.id)
        known = case.provenance.get("image", {})
        return replace(
            image,
            **{
                key: known[key]
                for key in ("spacing_source", "laterality", "view", "modality", "patient_age")
                if key in known
            },
        )

    def read_points(self, case: Case, landmark_ids: Sequence[str]) -> np.ndarray:
        """Landmarks (n, 3) LPS mm in this order, NaN where unset."""
        return read_markups(self.folder / case.points).ordered(landmark_ids)

    def read_predicted(self, case: Case, landmark_ids: Sequence[str]) -> np.ndarray | None:
        """Landmarks as the network proposed them, or None where the case has no prediction."""
        return read_markups(self.folder / case.predicted).ordered(landmark_ids) if case.predicted else None

    # --- writing
    def add_case(
        self,
        case_id: str,
        *,
        image_suffix: str,
        write_image: Callable[[Path], Any],
        protocol,
        points: np.ndarray,
        group: str,
        split: str = "",
        predicted: np.ndarray | None = None,
        provenance: Mapping[str, Any] | None = None,
    ) -> Case:
        """Write one case; a case of the same id is replaced. Returns the case as stored.

        ``write_image(path)`` writes the image with the suffix ``image_suffix``; ``points`` and ``predicted``
        are (n, 3) LPS mm in the order of ``protocol.landmark_ids``. Raises DatasetError where a value is not
        allowed or the folder cannot be written.
        """
        with self.adding() as add:
            return add(
                case_id,
                image_suffix=image_suffix,
                write_image=write_image,
                protocol=protocol,
                points=points,
                group=group,
                split=split,
                predicted=predicted,
                provenance=provenance,
            )

    @contextmanager
    def adding(self, flush_every: int = 1) -> Iterator[Callable[..., Case]]:
        """For many cases: yields a function like :meth:`add_case` that names them in dataset.json
        ``flush_every`` cases at a time and at the end. The folder stays locked against other writers
        meanwhile.
        """
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            with folder_lock(self.folder):
                writer = _Writer(self.folder, flush_every)
                try:
                    yield writer.add
                finally:
                    writer.flush()
        except OSError as error:
            raise DatasetError(f"{self.folder.name}: cannot be written ({error.strerror or error}).") from error

    # --- checking
    def problems(self, *, digests: bool = False) -> tuple[str, ...]:
        """What is wrong with the dataset, one sentence each; empty when all is well.

        Checks files, landmark names, and that no split parts a group; with ``digests`` also reads every
        image.
        """
        from orthoangles.annotation.checking import dataset_problems

        return dataset_problems(self, digests=digests)


class _Writer:
    """Adds cases under the lock: files first, then the index, then off with what it no longer names."""

    def __init__(self, folder: Path, flush_every: int) -> None:
        self._folder, self._flush_every = folder, max(int(flush_every), 1)
        self._cases = {case.id: case for case in _read_index(folder)} if (folder / INDEX).exists() else {}
        self._superseded: list[str] = []
        self._waiting = 0
        remove_leftovers(folder)

    def add(
        self,
        case_id: str,
        *,
        image_suffix: str,
        write_image: Callable[[Path], Any],
        protocol,
        points: np.ndarray,
        group: str,
        split: str = "",
        predicted: np.ndarray | None = None,
        provenance: Mapping[str, Any] | None = None,
    ) -> Case:
        _check_names(self._folder.name, case_id, group, split)
        old = self._cases.get(case_id)
        revision = old.revision + 1 if old else 1
        stem = case_id if revision == 1 else f"{case_id}.r{revision}"
        case = Case(
            id=case_id,
            image=stem + image_suffix,
            points=stem + ".mrk.json",
            predicted=stem + ".predicted.mrk.json" if predicted is not None else "",
            protocol=protocol.id,
            group=group,
            split=split,
            revision=revision,
            provenance=dict(provenance or {}),
        )
        texts = [landmark.description for landmark in protocol.landmarks]
        with replacing(self._folder / case.image) as temporary:
            write_image(temporary)
        write_markups(self._folder / case.points, protocol.landmark_ids, points, texts)
        if predicted is not None:
            write_markups(self._folder / case.predicted, protocol.landmark_ids, predicted, texts)
        self._cases[case_id] = case
        self._superseded += old.files if old else ()
        self._waiting += 1
        if self._waiting >= self._flush_every:
            self.flush()
        return case

    def flush(self) -> None:
        """Name the waiting cases in the index: from here on they are part of the dataset."""
        if not self._waiting:
            return
        content = {
            "format": _FORMAT,
            "version": _VERSION,
            "cases": [case.as_json() for case in self._cases.values()],
        }
        write_json(self._folder / INDEX, content)
        self._waiting = 0
        for name in self._superseded:
            (self._folder / name).unlink(missing_ok=True)
        self._superseded = []


def _read_index(folder: Path) -> tuple[Case, ...]:
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
    _check_names(place, case.id, case.group, case.split)
    for name in case.files:
        # A dataset may come from anywhere: it must not name files outside its folder.
        if Path(name).name != name or "\\" in name:
            raise DatasetError(f"{place}: '{name}' is not the name of a file in the dataset's folder.")
    return case


def _check_names(place: str, case_id: str, group: str, split: str) -> None:
    if not _ID.fullmatch(case_id):
        raise DatasetError(f"{place}: case id '{case_id}' may hold letters, digits, '-', '_' only.")
    if not group:
        raise DatasetError(f"{place}: case '{case_id}' has no group; give each patient one.")
    if split not in SPLITS:
        raise DatasetError(f"{place}: split '{split}' of case '{case_id}' is not one of {', '.join(SPLITS[1:])}.")
