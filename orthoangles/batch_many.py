"""Hundreds of images: several processes, resumed after a kill, one table for all."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from orthoangles.annotation.records import protocol_record
from orthoangles.batch import FileResult, ImageMeasurer
from orthoangles.batch_finished import FinishedImages, model_digest, writing_alone
from orthoangles.batch_names import output_names, part_names
from orthoangles.batch_tables import batch_tables
from orthoangles.batch_workers import Task, Workers
from orthoangles.protocols import load_protocol

_AHEAD = 8
"""How many images per worker may be measured before the turn of the first that is not: their results wait."""


@dataclass(frozen=True)
class Work:
    """How images are to be measured, in words that reach another process; called there, it makes the measurer.

    ``protocol`` is an id or a file, ``landmarks``, ``scene`` and ``ground`` are as for ``batch.measure_files``.
    """

    protocol: str
    output: Path
    landmarks: Path | None = None
    scene: bool = False
    ground: str = "scanner"
    device: str = "auto"
    on_unexpected: Callable[[str, Exception], Any] | None = None

    def __call__(self) -> ImageMeasurer:
        """The measurer, with its network loaded. Raises PredictionError where that cannot be."""
        return ImageMeasurer(
            load_protocol(self.protocol),
            self.output,
            None if self.landmarks else self.backend(),
            self.landmarks,
            self.scene,
            self.ground,
            self.on_unexpected,
        )

    def backend(self) -> Any:
        """The network of the protocol, loaded."""
        from orthoangles.predicting import backend_for

        return backend_for(load_protocol(self.protocol), self.device)

    def model(self) -> Mapping[str, str] | None:
        """What tells the network from another one: digests."""
        return None if self.landmarks else model_digest(load_protocol(self.protocol).bundle)

    def landmarks_of(self, name: str) -> Path | None:
        """The file of landmarks for an image of that name."""
        if self.landmarks is not None and self.landmarks.is_dir():
            return self.landmarks / f"{name}.mrk.json"
        return self.landmarks

    def options(self) -> dict[str, Any]:
        """All that shapes the results beside the image, in JSON types. The device is not: it moves the last digits."""
        protocol = protocol_record(load_protocol(self.protocol))
        return {"protocol": protocol, "model": self.model(), "scene": self.scene, "ground": self.ground}


def measure_many(paths: Sequence[Path], work: Work, *, workers: int = 1, again: bool = False) -> Iterator[FileResult]:
    """Measure ``paths`` in ``workers`` processes and yield results in the order of the list, whatever their number.

    What is written for each image is as for ``batch.measure_files``; measurements.csv and failures.csv, of all images
    of this call, take their places after the last result. An image that an earlier call finished in the same folder
    from the same file, protocol, model and options is not measured ``again``: its results are read. An image in which a
    process dies fails with that reason. Raises PredictionError where the network cannot be loaded, OrthoAnglesError
    where another call is writing to the output folder, and OSError where that cannot be made.
    """
    names = output_names(paths)
    tasks = [Task(k, *each) for k, each in enumerate(zip(paths, names, part_names(names), strict=True))]
    with writing_alone(work.output), batch_tables(work.output) as tables, Workers(work, workers) as pool:
        for result in _Queue(tasks, work, pool, _AHEAD * workers, again).results():
            tables.add(result, names[result.index])
            yield result


class _Queue:
    """Gives images to the workers and puts the results into the order of the list."""

    def __init__(self, tasks: Sequence[Task], work: Work, pool: Workers, ahead: int, again: bool) -> None:
        self._tasks, self._work, self._pool = tasks, work, pool
        self._ahead, self._again = ahead, again
        self._finished = FinishedImages(work.output, work.options())
        self._ready: dict[int, list[FileResult]] = {}
        self._fingerprints: dict[int, str | None] = {}
        self._given = 0

    def results(self) -> Iterator[FileResult]:
        """All of them."""
        for turn in range(len(self._tasks)):
            while turn not in self._ready:
                self._give(turn + self._ahead)
                if turn not in self._ready:
                    self._collect()
            self._give(turn + self._ahead)
            yield from self._ready.pop(turn)

    def _give(self, end: int) -> None:
        while self._pool.free and self._given < min(end, len(self._tasks)):
            task = self._tasks[self._given]
            self._given += 1
            mark = self._finished.fingerprint(task.path, task.parts, self._work.landmarks_of(task.name))
            earlier = (
                None if self._again or mark is None else self._finished.results(task.index, task.path, task.name, mark)
            )
            if earlier is not None:
                self._ready[task.index] = earlier
                continue
            self._finished.forget(task.name)
            self._fingerprints[task.index] = mark
            self._pool.give(task)

    def _collect(self) -> None:
        for task, results in self._pool.done():
            mark = self._fingerprints.pop(task.index)
            if mark is not None and results and all(result.error is None for result in results):
                self._finished.note(task.name, mark, results)
            self._ready[task.index] = results
