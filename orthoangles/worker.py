"""One persistent thread that runs long work while a GUI stays alive. No Qt: whoever has a timer polls it.

The thread outlives each piece of work, so a network stays warm on its device between images::

    worker = PredictionWorker()
    worker.submit(lambda progress, cancelled: backend.predict(image, progress=progress, cancelled=cancelled))
    report = worker.poll(wait=0.01)      # in a timer, until report.finished
    prediction = report.result()         # or raises what the work raised
"""

import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from orthoangles.errors import PredictionCancelled, PredictionError

Progress = Callable[[float, str], None]
Cancelled = Callable[[], bool]
Work = Callable[[Progress, Cancelled], Any]

IDLE, RUNNING, DONE, FAILED, CANCELLED = "idle", "running", "done", "failed", "cancelled"


@dataclass(frozen=True)
class Report:
    """How the work stands: ``state`` is idle, running, done, failed or cancelled; ``fraction`` is 0..1."""

    state: str = IDLE
    fraction: float = 0.0
    message: str = ""
    value: Any = None
    error: BaseException | None = None

    @property
    def finished(self) -> bool:
        """Whether the work has ended, in whatever way."""
        return self.state in (DONE, FAILED, CANCELLED)

    def result(self) -> Any:
        """What the work returned; raises what it raised, with the traceback of the thread.

        Raises:
            PredictionError: the work has not ended yet.
        """
        if self.error is not None:
            raise self.error
        if self.state != DONE:
            raise PredictionError(f"there is no result: the work is {self.state}")
        return self.value


def _came_too_late() -> Report:
    return Report(CANCELLED, error=PredictionCancelled("cancelled as the result came"))


class PredictionWorker:
    """Runs one piece of work at a time on its own thread.

    ``submit``, ``poll``, ``cancel`` and ``close`` belong to the thread that made the worker; the work sees
    only the two functions that it is given: ``progress(fraction, message)`` and ``cancelled()``.
    """

    def __init__(self, name: str = "OrthoAngles prediction") -> None:
        self._name = name
        self._changed = threading.Condition()
        self._work: Work | None = None
        self._report = Report()
        self._news = False
        self._cancel = threading.Event()
        self._closing = False
        self._thread: threading.Thread | None = None

    @property
    def busy(self) -> bool:
        """Whether work was submitted whose end has not been polled yet."""
        with self._changed:
            return self._report.state != IDLE

    def submit(self, work: Work) -> None:
        """Start ``work(progress, cancelled)`` on the thread.

        Raises:
            PredictionError: the worker is closed, or other work has not ended or its end was not polled.
        """
        with self._changed:
            if self._closing:
                raise PredictionError("the prediction thread is closed; make a new worker")
            if self._report.state != IDLE:
                raise PredictionError("a prediction is still running; wait for it or cancel it")
            self._cancel.clear()
            self._work = work
            self._set(Report(RUNNING))
        self._start()

    def poll(self, wait: float = 0.0) -> Report:
        """How the work stands; the end of a piece of work is reported once, then the worker is idle.

        ``wait`` is how many seconds to wait for news. It is more than patience: an application whose event
        loop keeps Python's interpreter lock lets other threads run Python only while this one waits.
        """
        with self._changed:
            if wait > 0 and self._report.state == RUNNING:
                self._changed.wait_for(lambda: self._news, timeout=wait)
            self._news = False
            report = self._report
            if report.finished:
                self._report = Report()
            return report

    def cancel(self) -> None:
        """Ask the work to stop; its end is still to be polled, and is never a result. Does nothing when idle."""
        with self._changed:
            self._cancel.set()
            if self._report.state == DONE:
                self._set(_came_too_late())

    def close(self, timeout: float = 5.0) -> bool:
        """Cancel the work and end the thread; False when it has not ended after ``timeout`` seconds."""
        with self._changed:
            self._closing = True
            self._cancel.set()
            self._changed.notify_all()
        if self._thread is not None:
            self._thread.join(timeout)
            return not self._thread.is_alive()
        return True

    def _start(self) -> None:
        if self._thread is None:
            # A daemon: an application that quits must not wait for a network.
            self._thread = threading.Thread(target=self._loop, name=self._name, daemon=True)
            self._thread.start()

    def _loop(self) -> None:
        while (work := self._next()) is not None:
            report = self._run(work)
            with self._changed:
                # Whoever cancelled must not be given a result, not even one that was ready a moment before.
                late = report.state == DONE and self._cancel.is_set()
                self._set(_came_too_late() if late else report)

    def _next(self) -> Work | None:
        with self._changed:
            self._changed.wait_for(lambda: self._work is not None or self._closing)
            work, self._work = self._work, None
            return None if self._closing else work

    def _run(self, work: Work) -> Report:
        try:
            value = work(self._progress, self._cancel.is_set)
        except PredictionCancelled as error:
            return Report(CANCELLED, error=error)
        except BaseException as error:
            # Whatever it is, even an exit, it belongs to the thread that polls.
            return Report(FAILED, error=error)
        return Report(DONE, 1.0, value=value)

    def _progress(self, fraction: float, message: str = "") -> None:
        with self._changed:
            self._set(Report(RUNNING, min(max(float(fraction), 0.0), 1.0), message))

    def _set(self, report: Report) -> None:
        self._report = report
        self._news = True
        self._changed.notify_all()
