"""Many images, one after the other: read, place landmarks, measure, write. A bad image never stops the others."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from orthoangles.annotation.markups_json import read_markups, write_markups
from orthoangles.errors import OrthoAnglesError
from orthoangles.images import Image, read_image, require_radiograph, require_volume
from orthoangles.measuring import measure
from orthoangles.predictions import Prediction
from orthoangles.protocols import Protocol as MeasuringProtocol
from orthoangles.reporting import record, write_measurements_csv, write_measurements_json, write_overlay
from orthoangles.subjects import SIDES, find_subjects, settled_side

_ENDINGS = (".nii.gz", ".mrk.json")


class Predictor(Protocol):
    """What finds landmarks in an image: :class:`orthoangles.predicting.Backend`, or a stand-in of a test.

    It may have ``views(image)`` too, which gives an upright image for each foot; see ``subjects.find_subjects``.
    """

    def predict(self, image: Image) -> Prediction:
        """Landmarks of one image."""


@dataclass(frozen=True)
class FileResult:
    """What came of one image, or of one foot of it: ``record`` as in NAME.measurements.json, or the ``error``.

    ``name`` is the file's name without its folder, ``files`` what was written, ``seconds`` the time it took, ``index``
    the place of the image among those given: the feet of one image have the same.
    """

    name: str
    record: dict[str, Any] | None
    files: tuple[Path, ...] = ()
    error: str | None = None
    seconds: float = 0.0
    index: int = 0


@dataclass(frozen=True)
class _Found:
    """Landmarks of one subject, wherever they came from; ``part`` ends its files' names where it is one of several."""

    image: Image
    points: np.ndarray
    side: str | None
    prediction: Prediction | None = None
    warnings: tuple[str, ...] = ()
    part: str = ""


def measure_files(
    paths: Sequence[Path],
    protocol: MeasuringProtocol,
    output: Path,
    *,
    backend: Predictor | None = None,
    landmarks: Path | None = None,
    scene: bool = False,
    on_unexpected: Callable[[str, Exception], Any] | None = None,
) -> Iterator[FileResult]:
    """Measure ``paths`` (image files or DICOM folders) and yield results, in order, as soon as they are written.

    Landmarks come from ``backend``, or from ``landmarks``: a .mrk.json file, or a folder that holds one NAME.mrk.json
    for each image NAME. Writes to ``output``, made where it is missing: NAME.mrk.json, NAME.measurements.json and .csv,
    NAME.overlay.png and with ``scene`` NAME.mrb, each atomically; of two images of one name the second's files are
    called NAME-2. An image in which the backend sees two feet gives two results, NAME-right and NAME-left (NAME-1 and
    NAME-2 where the side is not known), with upright overlays. An error that is no fault of the file reaches
    ``on_unexpected`` with the image's name before it is noted. Raises ValueError without either source of landmarks,
    and OSError where the output folder cannot be made.
    """
    if (backend is None) == (landmarks is None):
        raise ValueError("give a backend or landmarks, one of the two")
    output.mkdir(parents=True, exist_ok=True)
    names = output_names(paths)
    batch = _Batch(protocol, output, backend, landmarks, scene, on_unexpected, {name.lower() for name in names})
    for index, (path, name) in enumerate(zip(paths, names, strict=True)):
        yield from batch.results(index, path, name)


def output_names(paths: Iterable[Path]) -> list[str]:
    """A name for each path's results: the file's name without its ending, made unique by "-2", "-3" ...

    >>> output_names([Path("a/spine.png"), Path("b/spine.dcm"), Path("spine-2.png")])
    ['spine', 'spine-3', 'spine-2']
    """
    stems = [_stem(path) for path in paths]
    taken = set()
    names = []
    for stem in stems:
        name, number = stem, 1
        # A later image may really be called "spine-2": its name is not given away. Case: Windows and macOS fold it.
        while name.lower() in taken or (number > 1 and name.lower() in {other.lower() for other in stems}):
            number += 1
            name = f"{stem}-{number}"
        taken.add(name.lower())
        names.append(name)
    return names


def _stem(path: Path) -> str:
    name = path.resolve().name
    for ending in _ENDINGS:
        if name.lower().endswith(ending):
            return name[: -len(ending)]
    # "1.2.840.10008" is the name of many DICOM files: its last number is no ending.
    return name if path.suffix[1:].isdigit() or not path.suffix else path.resolve().stem


@dataclass(frozen=True)
class _Batch:
    """What is the same for all images; ``taken`` holds the names of results, in lower case."""

    protocol: MeasuringProtocol
    output: Path
    backend: Predictor | None
    landmarks: Path | None
    scene: bool
    on_unexpected: Callable[[str, Exception], Any] | None
    taken: set[str] = field(default_factory=set)

    def results(self, index: int, path: Path, name: str) -> Iterator[FileResult]:
        """Those of one image; where one foot fails, the other is measured all the same."""
        found = self._find(path, name)
        while (result := self._next(found, index, path, name)) is not None:
            yield result

    def _next(self, found: Iterator[_Found], index: int, path: Path, name: str) -> FileResult | None:
        import time

        started = time.perf_counter()
        content, files, reason = None, (), None
        try:
            each = next(found, None)
            if each is None:
                return None
            content, files = _write_results(each, self._stem(name, each.part), self.protocol, self.scene)
        except OrthoAnglesError as error:
            reason = str(error)
        except Exception as error:
            if self.on_unexpected:
                self.on_unexpected(path.name, error)
            # The text of a foreign error may quote the file's content, and with it a patient: its kind must do.
            reason = f"{path.name}: unexpected error ({type(error).__name__})."
        return FileResult(path.name, content, files, reason, time.perf_counter() - started, index)

    def _stem(self, name: str, part: str) -> Path:
        if not part:
            return self.output / name
        stem = wanted = f"{name}-{part}"
        number = 1
        while stem.lower() in self.taken:
            number += 1
            stem = f"{wanted}-{number}"
        self.taken.add(stem.lower())
        return self.output / stem

    def _find(self, path: Path, name: str) -> Iterator[_Found]:
        image = (require_radiograph if self.protocol.dimension == 2 else require_volume)(read_image(path))
        if self.landmarks is not None:
            yield self._placed(image, path, name)
            return
        predicted = find_subjects(self.backend, self.protocol, image, lambda view, *_: self.backend.predict(view))
        for number, one in enumerate(predicted, start=1):
            part = "" if one.alone else one.side or str(number)
            yield _Found(one.image, one.prediction.points, one.side, one.prediction, one.prediction.warnings, part)

    def _placed(self, image: Image, path: Path, name: str) -> _Found:
        """Landmarks from a file: no network looks at the image, and it stays as it is."""
        file = self.landmarks
        if file.is_dir():
            file = file / f"{name}.mrk.json"
            if not file.exists():
                raise OrthoAnglesError(f"{path.name}: folder {self.landmarks.name} holds no {file.name}.")
        points = read_markups(file).ordered(self.protocol.landmark_ids)
        side, warnings = settled_side(self.protocol, points, image, SIDES.get(image.laterality or ""))
        return _Found(image, points, side, warnings=warnings)


def _write_results(found: _Found, stem: Path, protocol, scene: bool) -> tuple[dict[str, Any], tuple[Path, ...]]:
    image, prediction = found.image, found.prediction
    result = measure(
        protocol,
        found.points,
        spread=prediction.spread if prediction else None,
        image=image,
        age=image.patient_age,
        laterality=found.side,
        foreground=prediction.foreground if prediction else None,
    )
    content = record(
        image.name,
        protocol,
        found.points,
        result,
        confidence=prediction.confidence if prediction else None,
        model=prediction.model if prediction else None,
        warnings=(*image.warnings, *found.warnings),
    )
    content = {"image": image.name, "side": found.side, **content}
    files = [stem.with_name(stem.name + ending) for ending in (".mrk.json", ".measurements.json", ".measurements.csv")]
    descriptions = [landmark.description for landmark in protocol.landmarks]
    write_markups(files[0], protocol.landmark_ids, found.points, descriptions)
    write_measurements_json(files[1], content)
    write_measurements_csv(files[2], content)
    if image.is_radiograph:
        files.append(stem.with_name(stem.name + ".overlay.png"))
        write_overlay(files[-1], image, found.points, result, protocol)
    if scene:
        files.append(stem.with_name(stem.name + ".mrb"))
        _write_scene(files[-1], found, protocol)
    return content, tuple(files)


def _write_scene(path: Path, found: _Found, protocol) -> None:
    """A scene of its own for each image: nothing of one patient is saved with another."""
    from orthoangles.scene import MeasurementSession, add_volume, start_host
    from orthoangles.scene.saving import save_scene

    host = start_host()
    volume = add_volume(host.scene, found.image)
    if found.part:
        volume.SetName(path.stem)
    session = MeasurementSession.create(volume, protocol, image=found.image)
    if found.prediction is None:
        session.set_points(found.points)
    else:
        session.set_prediction(found.prediction)
    save_scene(host.scene, path)
    session.remove()
    host.scene.Clear(True)
