"""The image of the worklist that is open: opened as it was left, kept while the reader works, exported."""

from collections.abc import Callable
from pathlib import Path

import slicer

from orthoangles.annotation.worklist import Entry, SavedWork, WorkClock, Worklist
from orthoangles.errors import DatasetError


class CaseDesk:
    """One open image at a time, with the sessions of all its feet; ``logic`` is the module's.

    ``source`` is its volume node, ``entry`` what the list knew of it when it was opened; None where nothing is open.
    """

    def __init__(self, logic) -> None:
        self._logic = logic
        self._worklist: Worklist | None = None
        self._digest = ""
        self._views: dict[str, str] = {}  # volume node id -> digest of what it shows
        self._stored: dict[str, tuple] = {}  # view -> points and state as they lie on the disk
        self._seconds: dict[str, float] = {}
        self._exported: set[str] = set()  # views
        self.entry: Entry | None = None
        self.problem = ""
        self.source = None
        self.clock = WorkClock()

    def open(self, worklist: Worklist, entry: Entry) -> str | None:
        """Put the case that is open away and open this one; returns who else has it open, then nothing is changed.

        Where nothing can be noted, ``problem`` says so and the image is opened all the same. The entry counts as open
        also where its image cannot be read: it can still be rejected. Raises OrthoAnglesError.
        """
        self.save()
        problem, holder = _tried(lambda: worklist.claims.take(entry.key))
        if holder is not None:
            return holder
        self._putAway()
        self._worklist, self.entry, self.problem = worklist, entry, problem
        self._note()
        image = worklist.read_image(entry.path)
        self.source = self._logic.addImage(image)
        shown = self._logic.image(self.source, worklist.protocol.id)
        self._digest = shown.sha256
        self._note(self._digest)
        self.clock.start()
        self._restore(shown)
        return None

    def _note(self, digest: str = "") -> None:
        """Remember that the file was opened, and what it showed."""
        worklist, key = self._worklist, self.entry.key
        self.problem = _tried(lambda: worklist.opened(key, digest))[0] or self.problem

    def sessions(self) -> tuple:
        """Those of all views of the open image."""
        return () if self.source is None else self._logic.sessionsOf(self.source, self._worklist.protocol.id)

    def holds(self, session) -> bool:
        """Whether a session measures the open image, and not another one that was loaded beside it."""
        return any(each is session for each in self.sessions())

    def chosenVolume(self):
        """What of the open image is shown first: a foot that was found in it, else the image."""
        sessions = self.sessions()
        return sessions[0].volume_node if sessions else self.source

    def placeStored(self) -> bool:
        """Take the stored prediction of the open image, where it was made after the image was opened."""
        if self.source is None or self.sessions():
            return False
        self._restore(self._logic.image(self.source, self._worklist.protocol.id))
        return bool(self.sessions())

    def storePrediction(self, subjects) -> None:
        """Keep what the network found in the open image. Raises DatasetError."""
        image = self._logic.image(self.source, self._worklist.protocol.id)
        self._worklist.predictions.put(self.entry.key, image, subjects)

    def _restore(self, image) -> None:
        """The stored prediction, and over it what this reader made of it before."""
        subjects = self._worklist.predictions.subjects(self.entry.key, image)
        if subjects:
            self._logic.takeSubjects(self.source, self._worklist.protocol.id, subjects)
        elif self._worklist.saved_work(self._digest, self._digest) is not None:
            self._logic.createSession(self.source, self._worklist.protocol.id)
        for session in self.sessions():
            self._resume(session)
        # What the disk knew is no change of the reader's.
        slicer.mrmlScene.ClearUndoStack()
        slicer.mrmlScene.ClearRedoStack()

    def _resume(self, session) -> None:
        view = self._view(session)
        self._note(view)
        work = self._worklist.saved_work(self._digest, view)
        if work is not None:
            if work.prediction is not None and not _same(work.prediction, session.prediction):
                session.set_prediction(work.prediction)
            session.set_points(work.points)
            self._seconds[view] = work.seconds
        self._stored[view] = _standing(session)

    def _view(self, session) -> str:
        """Digest of what a session measures; made once, since a volume takes a second."""
        if session.volume_node is self.source:
            return self._digest
        node = session.volume_node.GetID()
        if node not in self._views:
            self._views[node] = session.image.sha256
        return self._views[node]

    def active(self) -> None:
        """The reader did something."""
        self.clock.active()

    def save(self) -> bool:
        """Keep what changed and is not exported; True where there was something. Raises DatasetError."""
        changed = [session for session in self.sessions() if self._isChanged(session)]
        for session in changed:
            view = self._view(session)
            self._note(view)
            work = SavedWork(session.points, session.prediction, session.review_state, self.seconds(session))
            self._worklist.save_work(self._digest, view, work)
            self._stored[view] = _standing(session)
        return bool(changed)

    def _isChanged(self, session) -> bool:
        stored = self._stored.get(self._view(session))
        if stored is None and session.review_state in ("new", "predicted"):
            return False
        return stored != _standing(session)

    def seconds(self, session) -> float:
        """How long the reader has worked on a session's image."""
        return self._seconds.get(self._view(session), 0.0) + self.clock.seconds

    def export(self, session, folder: str | Path, reader: str, rejected: str = "") -> str:
        """Write a session to the dataset and return its case's id. Raises DatasetError."""
        if not self.holds(session):
            return self._logic.exportCorrection(session, folder, reader)
        view, seconds, origin = self._view(session), self.seconds(session), self.entry.origin
        # The dataset's case is found by this note, also when the program dies right after the export.
        self._note(view)
        group = origin.group if origin is not None else None
        caseId = self._logic.exportCorrection(session, folder, reader, seconds, group, rejected)
        self._worklist.forget_work(self._digest, view)
        self._exported.add(view)
        self._seconds[view], self._stored[view] = seconds, _standing(session)
        self.clock.start()
        return caseId

    def leftToExport(self) -> tuple[str, ...]:
        """Names of the views of the open image that were not exported since it was opened."""
        left = (each for each in self.sessions() if self._view(each) not in self._exported)
        return tuple(each.volume_node.GetName() for each in left)

    def reject(self, reason: str, reader: str) -> None:
        """Note why the open image is not to be measured; cases of it in the dataset are marked so too."""
        self.save()  # before: what is saved after a rejection takes it back
        own = any((case.provenance.get("review") or {}).get("reader") == reader for case in self.entry.cases)
        for session in self.sessions() if own or self._exported else ():
            self.export(session, self._worklist.dataset.folder, reader, reason)
        self._worklist.reject(self.entry.key, reason)

    def renew(self) -> str | None:
        """Keep the open image claimed; returns who has opened it meanwhile, where it was lost."""
        if self.entry is None or self._worklist.claims.renew():
            return None
        return self._worklist.claims.take(self.entry.key)

    def _putAway(self) -> None:
        """Take the case out of the scene."""
        source = self.source
        self._clear()
        if source is not None:
            self._logic.removeCase(source)

    def forget(self) -> None:
        """The image is open no more: its nodes are gone, or stay as those of any other image."""
        if self._worklist is not None:
            _tried(self._worklist.claims.release)
        self._clear()

    def _clear(self) -> None:
        self._worklist = self.entry = self.source = None
        self._views, self._stored, self._seconds, self._digest, self.problem = {}, {}, {}, "", ""
        self._exported = set()
        self.clock.stop()


def _tried(call: Callable) -> tuple[str, object]:
    """What is wrong, "" where all is well, and what ``call`` returned."""
    try:
        return "", call()
    except DatasetError as error:
        return str(error), None


def _same(one, other) -> bool:
    return other is not None and one.model == other.model and one.points.tobytes() == other.points.tobytes()


def _standing(session) -> tuple:
    return session.points.tobytes(), session.review_state
