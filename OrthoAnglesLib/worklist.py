"""The images of a folder, and which of them are in the dataset.

The dataset must not hold file names, which may name patients. So a file is known by the SHA-256 of its bytes, noted
in ``worklist.json`` beside the dataset when its correction is exported.
"""

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path

from orthoangles.annotation.dataset import Dataset
from orthoangles.atomic import write_json
from orthoangles.errors import DatasetError

NOTES = "worklist.json"
IMAGE_SUFFIXES = (
    ".dcm", ".dicom", ".png", ".jpg", ".jpeg", ".tif", ".tiff", ".nrrd", ".nhdr", ".nii", ".nii.gz", ".mha", ".mhd",
)  # fmt: skip


@dataclass(frozen=True)
class WorklistEntry:
    """An image file and the id of its exported case, empty where there is none."""

    path: Path
    caseId: str

    @property
    def exported(self) -> bool:
        """Whether its correction is in the dataset."""
        return bool(self.caseId)


class Worklist:
    """Entries of ``imagesFolder`` in alphabetical order; either folder may be missing."""

    def __init__(self, imagesFolder: str | Path, datasetFolder: str | Path) -> None:
        self._images = Path(imagesFolder) if str(imagesFolder) else None
        self._dataset = Path(datasetFolder) if str(datasetFolder) else None

    def entries(self) -> tuple[WorklistEntry, ...]:
        """What there is to do and what is done. Raises DatasetError for a malformed dataset."""
        if self._images is None or not self._images.is_dir():
            return ()
        notes = self._liveNotes()
        sizes = {note["size"] for note in notes.values()}
        paths = sorted(path for path in self._images.iterdir() if _isImage(path))
        return tuple(WorklistEntry(path, _caseOf(path, notes, sizes)) for path in paths)

    def nextOpen(self, after: Path | None = None) -> Path | None:
        """The next image without an exported case, from the top again at the end; None when all are done."""
        todo = [entry.path for entry in self.entries() if not entry.exported]
        later = [path for path in todo if after is not None and path.name > after.name]
        return next(iter(later or [path for path in todo if path != after]), None)

    def note(self, path: Path, caseId: str) -> None:
        """Remember that the case of this file was exported."""
        if self._dataset is None:
            raise DatasetError("no dataset folder is chosen.")
        notes = self._liveNotes()
        notes[_digest(path)] = {"size": path.stat().st_size, "case": caseId}
        write_json(self._dataset / NOTES, notes)

    def _liveNotes(self) -> dict[str, dict]:
        """Notes whose case is still in the dataset."""
        if self._dataset is None or not (self._dataset / NOTES).is_file():
            return {}
        try:
            notes = json.loads((self._dataset / NOTES).read_text(encoding="utf-8"))
            known = {case.id for case in Dataset(self._dataset).cases}
            return {digest: note for digest, note in notes.items() if note["case"] in known}
        except (ValueError, KeyError, AttributeError, TypeError) as error:
            raise DatasetError(f"{NOTES}: is malformed ({error}); delete it to start a new worklist.") from error


def _isImage(path: Path) -> bool:
    return path.is_file() and not path.name.startswith(".") and path.name.lower().endswith(IMAGE_SUFFIXES)


def _caseOf(path: Path, notes: dict[str, dict], sizes: set[int]) -> str:
    # Hundreds of files: read only those that can be the one.
    if path.stat().st_size not in sizes:
        return ""
    return notes.get(_digest(path), {}).get("case", "")


def _digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()
