"""What each reader noted about the images: one file per reader, merged when it is read.

A reader's file is written by that reader alone, so that two readers never overwrite each other; two windows of one
reader exclude each other by the folder's lock and read the file again before they write.
"""

import hashlib
import json
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from orthoangles.annotation.worklist.files import writing_in
from orthoangles.atomic import write_json
from orthoangles.errors import DatasetError

_FORMAT, _VERSION = "orthoangles-worklist", 1


@dataclass(frozen=True)
class Rejection:
    """Why a reader will not measure an image, and when that was said (UTC, ISO 8601)."""

    reason: str
    at: str


@dataclass(frozen=True)
class ImageNote:
    """What a reader knows of one image file: ``images`` are the digests (16 hex digits) of what it showed when it was
    opened, which lead to its cases in the dataset; ``rejection`` where it was rejected.
    """

    images: tuple[str, ...] = ()
    rejection: Rejection | None = None


@dataclass(frozen=True)
class ReaderNotes:
    """The notes of one reader: image key -> note, and the key of the image opened last."""

    reader: str
    position: str = ""
    images: dict[str, ImageNote] = field(default_factory=dict)


class NotesFolder:
    """The files of all readers in ``folder``, which is made when first written to."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def all(self) -> tuple[ReaderNotes, ...]:
        """Of every reader. Raises DatasetError where a file is malformed."""
        return tuple(_read(path) for path in sorted(self.folder.glob("reader-*.json")))

    def of(self, reader: str) -> ReaderNotes:
        """Of one reader, empty where there are none."""
        path = self._path(reader)
        return _read(path) if path.is_file() else ReaderNotes(reader)

    def change(self, reader: str, change: Callable[[ReaderNotes], ReaderNotes]) -> None:
        """Replace a reader's notes by what ``change`` makes of them; whole or not at all. Raises DatasetError."""
        with writing_in(self.folder):
            write_json(self._path(reader), _as_json(change(self.of(reader))))

    def _path(self, reader: str) -> Path:
        # A name can hold what a file name cannot, and differ from another by its case alone.
        return self.folder / f"reader-{hashlib.sha256(reader.encode()).hexdigest()[:12]}.json"


def _as_json(notes: ReaderNotes) -> dict[str, Any]:
    return {
        "format": _FORMAT,
        "version": _VERSION,
        "reader": notes.reader,
        "position": notes.position,
        "images": {key: _note_as_json(note) for key, note in notes.images.items()},
    }


def _note_as_json(note: ImageNote) -> dict[str, Any]:
    rejection = note.rejection
    return {
        "images": list(note.images),
        "rejected": None if rejection is None else {"reason": rejection.reason, "at": rejection.at},
    }


def _read(path: Path) -> ReaderNotes:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        if (content["format"], content["version"]) != (_FORMAT, _VERSION):
            raise ValueError(f"not an {_FORMAT} of version {_VERSION}")
        notes = {key: _note(entry) for key, entry in content["images"].items()}
        return ReaderNotes(content["reader"], content["position"], notes)
    except (OSError, ValueError, KeyError, AttributeError, TypeError) as error:
        raise DatasetError(
            f"{path.name}: is malformed ({error}); delete it to start this reader's worklist anew."
        ) from error


def _note(entry: dict[str, Any]) -> ImageNote:
    rejected = entry["rejected"]
    return ImageNote(
        tuple(entry["images"]), None if rejected is None else Rejection(rejected["reason"], rejected["at"])
    )
