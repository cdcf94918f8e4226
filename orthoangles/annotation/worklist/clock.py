"""How long a reader worked on an image: pauses are not work."""

import time
from collections.abc import Callable

PAUSE_AFTER = 60.0
"""Seconds without a sign of the reader after which the clock stands still until the next one."""


class WorkClock:
    """Counts seconds of work; ``now`` gives the time in seconds and never runs backwards.

    >>> ticks = iter([0.0, 20.0, 3600.0, 3610.0])
    >>> clock = WorkClock(now=lambda: next(ticks))
    >>> clock.start(); clock.active(); clock.active(); clock.active()
    >>> clock.seconds
    90.0
    """

    def __init__(self, pause_after: float = PAUSE_AFTER, now: Callable[[], float] = time.monotonic) -> None:
        self._pause_after, self._now = pause_after, now
        self._last: float | None = None
        self.seconds = 0.0

    def start(self, seconds: float = 0.0) -> None:
        """An image was opened, on which ``seconds`` of work were done before."""
        self.seconds, self._last = seconds, self._now()

    def active(self) -> None:
        """The reader did something just now. A longer pause counts as ``pause_after`` seconds."""
        if self._last is not None:
            now = self._now()
            self.seconds += min(now - self._last, self._pause_after)
            self._last = now

    def stop(self) -> None:
        """No image is open."""
        self._last, self.seconds = None, 0.0
