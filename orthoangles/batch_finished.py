"""What earlier calls have finished in an output folder, so that a batch goes on where it was stopped.

For each image whose results are all written there is ``.finished/NAME.json``: the fingerprint of what they were made
from, and their files. It is written last and taken away before the first file is written again, so that a kill at any
moment leaves an image finished or not, never half of each.
"""

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orthoangles
from orthoangles.annotation.locking import folder_lock
from orthoangles.atomic import remove_leftovers, write_json
from orthoangles.batch import FileResult
from orthoangles.batch_names import printable
from orthoangles.bundle_weights import file_digest
from orthoangles.errors import DatasetError, OrthoAnglesError

FOLDER = ".finished"
_RECORD = ".measurements.json"
_BLOCK = 1 << 20


@dataclass(frozen=True)
class FinishedImages:
    """The notes in ``output``; ``options`` (JSON types) is what shapes every result: protocol, model, options."""

    output: Path
    options: Mapping[str, Any]

    def results(self, index: int, path: Path, name: str, fingerprint: str) -> list[FileResult] | None:
        """What an earlier call found in the image, from its files; None where any of them is missing or another."""
        try:
            note = json.loads(self._note(name).read_text(encoding="utf-8"))
            if note["fingerprint"] != fingerprint:
                return None
            return [self._result(index, path, part) for part in note["results"]]
        except (OSError, ValueError, KeyError, TypeError):
            return None

    def _result(self, index: int, path: Path, part: Mapping[str, Any]) -> FileResult:
        files = tuple(self.output / name for name in part["files"])
        if not all(file.stat().st_size for file in files):
            raise ValueError("an empty file")
        (written,) = (file for file in files if file.name.endswith(_RECORD))
        content = written.read_bytes()
        if hashlib.sha256(content).hexdigest() != part["sha256"]:
            raise ValueError("another result")
        return FileResult(printable(path.name), json.loads(content), files, index=index, earlier=True)

    def forget(self, name: str) -> None:
        """The image's files are about to be written again."""
        self._note(name).unlink(missing_ok=True)

    def note(self, name: str, fingerprint: str, results: Sequence[FileResult]) -> None:
        """All ``results`` of an image are written."""
        parts = [
            {
                "files": [file.name for file in result.files],
                "sha256": file_digest(next(file for file in result.files if file.name.endswith(_RECORD))),
            }
            for result in results
        ]
        write_json(self._note(name), {"fingerprint": fingerprint, "results": parts})

    def fingerprint(self, path: Path, parts: Mapping[str, str], landmarks: Path | None) -> str | None:
        """Digest of all that the results of the image come from; None where the image cannot be read.

        ``parts`` are the names of its feet's results, ``landmarks`` the file that they are measured from, if any.
        """
        try:
            image = _digest(path)
            placed = _digest(landmarks) if landmarks else None
        except OSError:
            return None
        made_from = [printable(path.name), image, placed, dict(parts), dict(self.options), orthoangles.__version__]
        return hashlib.sha256(json.dumps(made_from, sort_keys=True).encode()).hexdigest()

    def _note(self, name: str) -> Path:
        return self.output / FOLDER / f"{name}.json"


@contextmanager
def writing_alone(output: Path) -> Iterator[None]:
    """Hold ``output``, made where it is missing; what a killed call left half-written is taken away before and after.

    Raises OrthoAnglesError where another call is writing there, and OSError where there can be no such folder.
    """
    folder = output / FOLDER
    folder.mkdir(parents=True, exist_ok=True)
    with ExitStack() as held:
        try:
            held.enter_context(folder_lock(folder, timeout=0.0))
        except DatasetError as error:
            raise OrthoAnglesError(
                f"{output.name}: another call of measure is writing there; wait for its end or give another --output."
            ) from error
        _tidy(output)
        held.callback(_tidy, output)
        yield


def model_digest(bundle: str) -> dict[str, str]:
    """Digests of the configuration of a model bundle and of the finder that it names; it names the weights' digests.

    Raises :class:`PredictionError` where there is no such bundle.
    """
    from orthoangles.predicting import bundle_folder

    digests = {}
    while bundle:
        folder = bundle_folder(bundle) / "configs"
        configuration = (folder / "inference.json").read_bytes()
        digests[bundle] = hashlib.sha256((folder / "metadata.json").read_bytes() + configuration).hexdigest()
        bundle = json.loads(configuration).get("finder", "")
    return digests


def _tidy(output: Path) -> None:
    remove_leftovers(output)
    remove_leftovers(output / FOLDER)


def _digest(path: Path) -> str:
    """SHA-256 of a file, or of the files below a folder with their places."""
    if path.is_dir():
        inside = sorted(file for file in path.rglob("*") if file.is_file())
        listed = "\n".join(f"{_digest(file)} {printable(str(file.relative_to(path)))}" for file in inside)
        return hashlib.sha256(listed.encode()).hexdigest()
    digest = hashlib.sha256()
    with path.open("rb") as stream:
        while block := stream.read(_BLOCK):
            digest.update(block)
    return digest.hexdigest()
