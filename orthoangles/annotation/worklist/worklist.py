"""The worklist of one reader: the images of a folder or dataset, how far each is, and what was noted about them.

What a reader corrected or confirmed is told by the cases of the dataset, which cannot be lost. Beside them lies what
the dataset does not know: which image was open last, which file showed which image, what was rejected and why, work
that is not exported yet, predictions. None of it holds a file name, which may name a patient.
"""

from collections import defaultdict
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timezone
from pathlib import Path

from orthoangles.annotation.dataset import Case, Dataset
from orthoangles.annotation.worklist.arranging import arranged
from orthoangles.annotation.worklist.claims import Claims
from orthoangles.annotation.worklist.disagreement import Disagreement
from orthoangles.annotation.worklist.entries import Entry
from orthoangles.annotation.worklist.image_files import ImageKeys
from orthoangles.annotation.worklist.notes import ImageNote, NotesFolder, ReaderNotes, Rejection
from orthoangles.annotation.worklist.reader_states import reader_states
from orthoangles.annotation.worklist.saved_work import SavedWork, SavedWorkFolder, exported_work
from orthoangles.annotation.worklist.sources import ImageSource, image_digest, image_sources
from orthoangles.annotation.worklist.states import ReaderState, furthest
from orthoangles.annotation.worklist.stored_predictions import StoredPredictions
from orthoangles.errors import DatasetError
from orthoangles.images import Image, read_image
from orthoangles.protocols import Protocol, load_protocol


class Worklist:
    """Images of ``images``, a folder or a dataset, for one protocol and one reader.

    ``dataset`` is the folder of the dataset into which corrections go; where it is not given, what is noted lies in a
    hidden folder beside the images, or in ``images`` itself where that is a dataset. With ``alone`` only what this
    reader did counts, so that two readers read the same images independently; else an image that one of them is done
    with is done. ``model`` is the digest of the weights whose predictions count, None for any. Cheap to make; keep it
    while the folders stay the same: it remembers what it has read. Methods raise DatasetError.
    """

    def __init__(
        self,
        images: Path | str,
        dataset: Path | str | None = None,
        *,
        protocol: Protocol | str,
        reader: str = "",
        alone: bool = False,
        model: str | None = None,
    ) -> None:
        self.images = Path(images)
        self.protocol = load_protocol(protocol) if isinstance(protocol, str) else protocol
        self.reader, self.alone = reader, alone
        self.dataset = Dataset(dataset or self.images)
        self.folder = _notes_folder(self.images, dataset) / f"worklist-{self.protocol.id}"
        self.predictions = StoredPredictions(self.folder / "predictions", self.protocol, model)
        self.claims = Claims(self.folder / "claims", reader)
        self._work = SavedWorkFolder(self.folder / "work", self.protocol, reader)
        self._notes = NotesFolder(self.folder / "readers")
        self._keys = ImageKeys()
        self._disagreement = Disagreement(self.dataset, self.protocol)

    # --- what there is
    def entries(self) -> tuple[Entry, ...]:
        """Every image with its state now, by name; empty where the folder is not there."""
        if not self.images.is_dir():
            return ()
        known = _Known(
            {notes.reader: notes for notes in self._notes.all()},
            self._cases_by_image(),
            self._work.all(),
            self.claims.holders(),
        )
        sources = image_sources(self.images, self.protocol.id, self._keys)
        return arranged([self._entry(source, known) for source in sources], "name")

    def arranged(
        self, entries: Sequence[Entry], order: str, states: Collection[str] = (), text: str = ""
    ) -> tuple[Entry, ...]:
        """Entries in an order of ``ORDERS``, those in ``states`` only, whose names hold ``text``."""
        return arranged(entries, order, states, text, self.disagreement)

    def disagreement(self, entry: Entry) -> float:
        """Mean distance in mm between readers, or reader and network, of this image; NaN where there is nothing yet."""
        return self._disagreement.of(entry.cases)

    def key(self, path: Path) -> str:
        """By what an image is known. Raises DatasetError where it cannot be read."""
        try:
            return self._keys(path)
        except OSError as error:
            raise DatasetError(f"{path.name}: cannot be read ({error.strerror or error}).") from error

    def read_image(self, path: Path) -> Image:
        """The image of an entry's path; of a dataset with the side, view and age that are noted there.

        Raises ImageError.
        """
        of_dataset = Dataset(self.images)
        cases = [each for each in of_dataset.cases if of_dataset.image_path(each) == path] if of_dataset.exists else []
        return of_dataset.read_image(cases[0]) if cases else read_image(path)

    @property
    def position(self) -> str:
        """Key of the image that this reader opened last, "" before the first."""
        return self._notes.of(self.reader).position

    # --- what the reader does
    def opened(self, key: str, image: str = "") -> None:
        """Note that an image was opened; ``image`` is the digest (``Image.sha256``) of what it showed.

        That leads from the file to its cases in the dataset, also when the program dies right after an export. Of an
        image whose feet are measured one by one, call it for each foot too.
        """

        def change(note: ImageNote) -> ImageNote:
            images = dict.fromkeys((*note.images, image[:16])) if image else note.images
            return replace(note, images=tuple(images))

        self._change(key, change, position=key)

    def reject(self, key: str, reason: str) -> None:
        """Note that this image will not be measured, and why. ValueError without a reason."""
        if not reason.strip():
            raise ValueError("a rejected image needs a reason")
        at = datetime.now(timezone.utc).isoformat(timespec="microseconds")
        self._change(key, lambda note: replace(note, rejection=Rejection(reason.strip(), at)))

    def take_back_rejection(self, key: str) -> None:
        """The image is to be measured after all."""
        self._change(key, lambda note: replace(note, rejection=None))

    def save_work(self, image: str, view: str, work: SavedWork) -> None:
        """Keep what is not yet in the dataset: ``image`` is the digest of the image, ``view`` that of the foot that was
        cut from it, or of the image again.
        """
        self._work.save(image, view, work)

    def saved_work(self, image: str, view: str) -> SavedWork | None:
        """What this reader made of a view so far: what was saved last, else what was exported; or None."""
        cases = self._cases_by_image().get(view[:16], ())
        return self._work.get(image, view) or exported_work(self.dataset, cases, self.protocol, self.reader, view)

    def forget_work(self, image: str, view: str) -> None:
        """It was exported: the dataset has it now."""
        self._work.drop(image, view)

    def close(self) -> None:
        """Give back what others wait for; the list can be used again."""
        self.claims.close()

    def _change(self, key: str, change: Callable[[ImageNote], ImageNote], position: str | None = None) -> None:
        def changed(notes: ReaderNotes) -> ReaderNotes:
            images = {**notes.images, key: change(notes.images.get(key, ImageNote()))}
            return replace(notes, images=images, position=notes.position if position is None else position)

        self._notes.change(self.reader, changed)

    # --- putting it together
    def _cases_by_image(self) -> Mapping[str, list[Case]]:
        """Cases of the protocol by the digest of what they show: an image, or a foot that was cut from one."""
        found: dict[str, list[Case]] = defaultdict(list)
        for case in self.dataset.cases if self.dataset.exists else ():
            if case.protocol == self.protocol.id:
                found[image_digest(case)].append(case)
        return found

    def _entry(self, source: ImageSource, known: "_Known") -> Entry:
        stored = self.predictions.get(source.key)
        notes = {reader: each.images[source.key] for reader, each in known.notes.items() if source.key in each.images}
        images = {image for note in notes.values() for image in note.images}
        images |= set(stored.images if stored else ()) | ({image_digest(source.case)} if source.case else set())
        cases = {case.id: case for image in images - {""} for case in known.cases.get(image, ())}
        work = {view: each for image in images - {""} for view, each in known.work.get(image, {}).items()}
        readers = reader_states(notes, cases.values(), stored.subjects if stored else 1, self.reader, work)
        counted = [each for each in readers if not self.alone or each.reader == self.reader]
        predicted = "predicted" if stored and not stored.failure else "new"
        present = furthest(counted) or ReaderState("", predicted)
        return Entry(
            source.path,
            source.key,
            present.state,
            present.reason,
            readers,
            tuple(cases.values()),
            stored.confidence if stored else float("nan"),
            stored.failure if stored else "",
            known.holders.get(source.key, ""),
            source.case,
        )


@dataclass(frozen=True)
class _Known:
    """What entries are made of, read once for all of them."""

    notes: Mapping[str, ReaderNotes]
    cases: Mapping[str, list[Case]]
    work: Mapping[str, Mapping[str, SavedWork]]
    holders: Mapping[str, str]


def _notes_folder(images: Path, dataset: Path | str | None) -> Path:
    if dataset:
        return Path(dataset)
    return images if Dataset(images).exists else images / ".orthoangles"
