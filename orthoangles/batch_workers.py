"""Processes that measure images, each with a warm network. One that dies costs its own image and is replaced.

This module is what a worker imports first, so it leaves heavy libraries to the work itself.
"""

import gc
import multiprocessing
import signal
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from itertools import count as count_from
from multiprocessing.connection import Connection, wait
from pathlib import Path
from typing import Any

from orthoangles.errors import OrthoAnglesError, PredictionError

_READY, _RESULT, _END, _UNABLE = "ready", "result", "end", "unable"
_STARTS = 3
_SECONDS_TO_END = 10.0


@dataclass(frozen=True)
class Task:
    """One image: its place in the list, the name of its results and those of its parts."""

    index: int
    path: Path
    name: str
    parts: dict[str, str]


@dataclass
class _Worker:
    process: Any
    connection: Connection
    task: Task | None = None
    ready: bool = False
    results: list = field(default_factory=list)


class Workers:
    """Up to ``count`` processes, started when they are needed: ``with Workers(make_measurer, 2) as workers: ...``.

    ``make_measurer`` is called in each process (so it can be pickled) and makes an ``ImageMeasurer``. torch's threads
    are divided among the processes.
    """

    def __init__(self, make_measurer: Callable[[], Any], count: int) -> None:
        self._make, self._count = make_measurer, count
        self._workers: list[_Worker] = []
        self._failed_starts = 0

    def __enter__(self) -> "Workers":
        return self

    def __exit__(self, kind, *_) -> None:
        for worker in self._workers:
            if kind is None and worker.task is None:
                worker.connection.close()
            else:
                worker.process.terminate()
        for worker in self._workers:
            _end(worker)

    @property
    def busy(self) -> bool:
        """Whether any image is being measured."""
        return any(worker.task for worker in self._workers)

    @property
    def free(self) -> bool:
        """Whether another image can be given."""
        return sum(worker.task is not None for worker in self._workers) < self._count

    def give(self, task: Task) -> None:
        """Let a free worker measure an image."""
        worker = self._idle() or self._start()
        worker.task = task
        self._send(worker)

    def _idle(self) -> _Worker | None:
        for worker in [worker for worker in self._workers if worker.task is None]:
            if worker.process.is_alive():
                return worker
            # It died after its last image: no other is to blame.
            self._workers.remove(worker)
            _end(worker)
        return None

    def done(self) -> Iterator[tuple[Task, list]]:
        """Wait for news; each image that was finished meanwhile, with its results in order.

        Raises PredictionError where the workers cannot load the network, or die before they have.
        """
        by_connection = {worker.connection: worker for worker in self._workers if worker.task}
        for connection in wait(list(by_connection)):
            worker = by_connection[connection]
            try:
                what, value = connection.recv()
            except (EOFError, OSError):
                yield from self._died(worker)
                continue
            if what == _UNABLE:
                raise PredictionError(value)
            if what == _READY:
                worker.ready, self._failed_starts = True, 0
            elif what == _RESULT:
                worker.results.append(value)
            else:
                yield self._taken(worker)

    def _taken(self, worker: _Worker) -> tuple[Task, list]:
        task, results = worker.task, worker.results
        worker.task, worker.results = None, []
        return task, results

    def _died(self, worker: _Worker) -> Iterator[tuple[Task, list]]:
        from orthoangles.batch import FileResult
        from orthoangles.batch_names import printable

        self._workers.remove(worker)
        worker.process.join(_SECONDS_TO_END)
        how = _how_it_ended(worker.process.exitcode)
        _end(worker)
        if worker.ready:
            task, results = self._taken(worker)
            reason = printable(f"{task.path.name}: the process that measured it {how}.")
            yield task, [*results, FileResult(printable(task.path.name), None, error=reason, index=task.index)]
            return
        self._failed_starts += 1
        if self._failed_starts >= _STARTS:
            raise PredictionError(f"no process could be started to measure images: the last one {how}")
        self.give(worker.task)

    def _start(self) -> _Worker:
        context = multiprocessing.get_context("spawn")
        ours, theirs = context.Pipe()
        process = context.Process(target=_serve, args=(theirs, self._make, self._count), daemon=True)
        process.start()
        # Only the worker holds the other end now: when it dies, ours says so.
        theirs.close()
        worker = _Worker(process, ours)
        self._workers.append(worker)
        return worker

    @staticmethod
    def _send(worker: _Worker) -> None:
        try:
            worker.connection.send(worker.task)
        except OSError:
            return  # It has died; ``done`` meets the end of its connection.


def _end(worker: _Worker) -> None:
    worker.connection.close()
    worker.process.join(_SECONDS_TO_END)
    if worker.process.is_alive():
        worker.process.kill()
        worker.process.join()
    worker.process.close()


def _how_it_ended(code: int | None) -> str:
    if code is None or code >= 0:
        return f"ended unexpectedly (exit code {code})"
    try:
        name = signal.Signals(-code).name
    except ValueError:
        name = f"signal {-code}"
    return f"was killed ({name}); the image may need more memory than there is"


def _serve(connection: Connection, make_measurer: Callable[[], Any], count: int) -> None:
    """A worker's life: it ends when the other end of ``connection`` is closed, or gone with its process."""
    # Ctrl-C reaches the whole group of processes; the one that leads it says what becomes of the others.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        try:
            measurer = make_measurer()
            _share_threads(count)
        except OrthoAnglesError as error:
            connection.send((_UNABLE, str(error)))
            return
        connection.send((_READY, None))
        for number in count_from(1):
            task = connection.recv()
            for result in measurer.results(task.index, task.path, task.name, task.parts):
                connection.send((_RESULT, result))
            connection.send((_END, None))
            _free_memory(first=number == 1)
    except (EOFError, OSError):
        return


def _free_memory(*, first: bool) -> None:
    """Figures refer to themselves, so they stay until the collector comes by, which is seldom: memory grew by a fifth.

    After the ``first`` image the libraries are loaded. They are taken out of its sight, and a round takes no time.
    """
    gc.collect()
    if first:
        gc.freeze()


def _share_threads(count: int) -> None:
    if "torch" in sys.modules:
        torch = sys.modules["torch"]
        torch.set_num_threads(max(1, torch.get_num_threads() // count))
