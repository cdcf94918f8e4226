"""Which images the network reads next while the reader works on one, and the work itself for a worker thread."""

from collections.abc import Callable, Sequence
from pathlib import Path

from orthoangles.annotation.worklist.arranging import place_of
from orthoangles.annotation.worklist.entries import Entry
from orthoangles.annotation.worklist.stored_predictions import StoredPredictions
from orthoangles.errors import ImageError
from orthoangles.images import Image, read_image
from orthoangles.subjects import Subject

Find = Callable[..., Sequence[Subject]]


class PredictAhead:
    """Predicts the images of a list in the order in which the reader will come to them.

    ``find(image, progress, cancelled)`` gives an image's subjects, as ``subjects.find_subjects`` does; ``read_image``
    reads a path. What is stored on disk is not done again; an image that cannot be read is noted there as well, so
    that it is not tried at each start. Other failures are tried again only after a restart.
    """

    def __init__(
        self, predictions: StoredPredictions, find: Find, read_image: Callable[[Path], Image] = read_image
    ) -> None:
        self._predictions, self._find, self._read_image = predictions, find, read_image
        self._tried: set[str] = set()

    def next(self, entries: Sequence[Entry], current: Entry | str = "") -> Entry | None:
        """The image to predict now: ``current``, then those after it, at last those before it; None: all done.

        Images that are done or that another reader has open are passed over.
        """
        start = place_of(entries, current) or 0
        for entry in (*entries[start:], *entries[:start]):
            if entry.free and entry.key not in self._tried and self._predictions.get(entry.key) is None:
                return entry
        return None

    def work(self, entry: Entry) -> Callable[[Callable, Callable], str]:
        """What a :class:`orthoangles.worker.PredictionWorker` runs for an entry; it gives back the entry's key."""
        self._tried.add(entry.key)
        return lambda progress, cancelled: self._predict(entry, progress, cancelled)

    def again(self, key: str) -> None:
        """Let an image be tried again, for example since its work was cancelled."""
        self._tried.discard(key)

    def _predict(self, entry: Entry, progress: Callable, cancelled: Callable) -> str:
        try:
            image = self._read_image(entry.path)
            subjects = tuple(self._find(image, progress, cancelled))
        except ImageError as error:
            # The file's own name, and the folder's where the image is one: a stored text must hold neither.
            self._predictions.put_failure(entry.key, _without_names(str(error), entry.path))
        else:
            self._predictions.put(entry.key, image, subjects)
        return entry.key


def _without_names(text: str, path: Path) -> str:
    inside = [each.name for each in path.iterdir()] if path.is_dir() else []
    for name in sorted((path.name, *inside), key=len, reverse=True):
        text = text.replace(name, "image")
    return text
