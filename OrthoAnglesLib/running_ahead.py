"""Predictions in the background for the images that the reader comes to next."""

from collections.abc import Callable, Sequence

import qt

from orthoangles.annotation.worklist import Entry, PredictAhead, Worklist
from orthoangles.errors import PredictionCancelled
from orthoangles.worker import PredictionWorker

_POLL_EVERY_MS = 100
# See prediction_section: the thread runs while poll waits.
_POLL_WAIT_SECONDS = 0.01


class AheadRunner:
    """Runs :class:`PredictAhead` on a thread of its own, with the network of ``runner``, while that one is idle.

    ``upcoming()`` gives the list as shown and the key of the image that is open; ``finished(key, error)`` is called
    after each image, with the error where it failed.
    """

    def __init__(
        self, runner, upcoming: Callable[[], tuple[Sequence[Entry], str]], finished: Callable[[str, object], None]
    ) -> None:
        self._runner, self._upcoming, self._finished = runner, upcoming, finished
        self._ahead: PredictAhead | None = None
        self._worker: PredictionWorker | None = None
        self._key = ""
        self._timer = qt.QTimer()
        self._timer.setInterval(_POLL_EVERY_MS)
        self._timer.connect("timeout()", self._step)

    @property
    def busy(self) -> bool:
        """Whether an image is being predicted."""
        return self._worker is not None and self._worker.busy

    def start(self, worklist: Worklist, device: str) -> None:
        """Predict the images of a list from now on."""

        def find(image, progress, cancelled):
            return self._runner().predict(image, worklist.protocol, device, progress, cancelled)

        self.pause()
        self._ahead = PredictAhead(worklist.predictions, find, worklist.read_image)
        self._timer.start()

    def goOn(self) -> None:
        """The list has changed: look again for something to do."""
        if self._ahead is not None:
            self._timer.start()

    def pause(self) -> None:
        """Give the network up at once; :meth:`goOn` takes it up again."""
        if self.busy:
            self._worker.cancel()

    def stop(self) -> None:
        """Predict nothing more for this list."""
        self._ahead = None
        self.pause()

    def close(self) -> None:
        """End the thread with the panel."""
        self._timer.stop()
        self._ahead = None
        if self._worker is not None:
            self._worker.close(timeout=0.5)
            self._worker = None

    def _step(self) -> None:
        if self.busy:
            report = self._worker.poll(_POLL_WAIT_SECONDS)
            if report.finished:
                self._take(report)
        elif self._ahead is None:
            self._timer.stop()
        elif not self._runner().running:
            entry = self._ahead.next(*self._upcoming())
            if entry is None:
                self._timer.stop()
            else:
                self._submit(entry)

    def _submit(self, entry: Entry) -> None:
        if self._worker is None:
            self._worker = PredictionWorker("OrthoAngles predicting ahead")
        self._key = entry.key
        self._worker.submit(self._ahead.work(entry))

    def _take(self, report) -> None:
        error = None
        try:
            report.result()
        except PredictionCancelled:
            if self._ahead is not None:
                self._ahead.again(self._key)
            return
        except Exception as failure:  # said in the panel; the next image is another one
            error = failure
        self._finished(self._key, error)
