"""Many images, one after the other: read, place landmarks, measure, write. A bad image never stops the others."""

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from orthoangles.annotation.markups_json import read_markups, write_markups
from orthoangles.batch_names import output_names, part_names, printable
from orthoangles.errors import OrthoAnglesError
from orthoangles.images import Image, read_image, require_radiograph, require_volume
from orthoangles.measurement_frame import frame_on
from orthoangles.measuring import measure
from orthoangles.predictions import Prediction
from orthoangles.protocols import Protocol as MeasuringProtocol
from orthoangles.reporting import record, write_measurements_csv, write_measurements_json, write_overlay
from orthoangles.subjects import SIDES, find_subjects, settled_side


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
    the place of the image among those given: the feet of one image have the same. ``earlier`` says that a call before
    this one measured it.
    """

    name: str
    record: dict[str, Any] | None
    files: tuple[Path, ...] = ()
    error: str | None = None
    seconds: float = 0.0
    index: int = 0
    earlier: bool = False


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
    ground: str = "scanner",
    on_unexpected: Callable[[str, Exception], Any] | None = None,
) -> Iterator[FileResult]:
    """Measure ``paths`` (image files or DICOM folders) and yield results, in order, as soon as they are written.

    Landmarks come from ``backend``, or from ``landmarks``: a .mrk.json file, or a folder that holds one NAME.mrk.json
    for each image NAME. Writes to ``output``, made where it is missing: NAME.mrk.json, NAME.measurements.json and .csv,
    NAME.overlay.png and with ``scene`` NAME.mrb, each atomically; of two images of one name the second's files are
    called NAME-2. An image in which the backend sees two feet gives two results, NAME-right and NAME-left (NAME-1 and
    NAME-2 where the side is not known), with upright overlays; that of a volume is a sheet of slices. ``ground`` of a
    volume is that of the ``scanner`` or of the ``landmarks``: see ``measurement_frame.frame_on``. An error that is no
    fault of the file reaches ``on_unexpected`` with the image's name before it is noted. Raises ValueError without
    either source of landmarks, and OSError where the output folder cannot be made.
    """
    if (backend is None) == (landmarks is None):
        raise ValueError("give a backend or landmarks, one of the two")
    output.mkdir(parents=True, exist_ok=True)
    names = output_names(paths)
    measurer = ImageMeasurer(protocol, output, backend, landmarks, scene, ground, on_unexpected)
    for index, (path, name, parts) in enumerate(zip(paths, names, part_names(names), strict=True)):
        yield from measurer.results(index, path, name, parts)


@dataclass(frozen=True)
class ImageMeasurer:
    """Measures one image after the other, with what is the same for all of them; see :func:`measure_files`."""

    protocol: MeasuringProtocol
    output: Path
    backend: Predictor | None
    landmarks: Path | None
    scene: bool = False
    ground: str = "scanner"
    on_unexpected: Callable[[str, Exception], Any] | None = None

    def results(self, index: int, path: Path, name: str, parts: Mapping[str, str]) -> Iterator[FileResult]:
        """Those of one image; where one foot fails, the other is measured all the same.

        ``name`` is that of its results and ``parts`` those of its feet: see ``batch_names.part_names``.
        """
        found, used = self._find(path, name), set()
        while (result := self._next(found, index, path, name, parts, used)) is not None:
            yield result

    def _next(
        self, found: Iterator[_Found], index: int, path: Path, name: str, parts: Mapping[str, str], used: set[str]
    ) -> FileResult | None:
        started = time.perf_counter()
        content, files, reason = None, (), None
        try:
            each = next(found, None)
            if each is None:
                return None
            stem = _part_name(parts, each.part, used) if each.part else name
            content, files = _write_results(
                each, self.output / stem, self.protocol, scene=self.scene, ground=self.ground
            )
        except OrthoAnglesError as error:
            reason = printable(str(error))
        except Exception as error:
            if self.on_unexpected:
                self.on_unexpected(printable(path.name), error)
            # The text of a foreign error may quote the file's content, and with it a patient: its kind must do.
            reason = printable(f"{path.name}: unexpected error ({type(error).__name__}).")
        return FileResult(printable(path.name), content, files, reason, time.perf_counter() - started, index)

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


def _part_name(parts: Mapping[str, str], part: str, used: set[str]) -> str:
    part = f"{part} again" if part in used else part
    used.add(part)
    return parts[part]


def _write_results(
    found: _Found, stem: Path, protocol, *, scene: bool, ground: str
) -> tuple[dict[str, Any], tuple[Path, ...]]:
    image, prediction = found.image, found.prediction
    frame, not_framed = frame_on(ground, protocol, found.points)
    result = measure(
        protocol,
        found.points,
        spread=prediction.spread if prediction else None,
        image=image,
        age=image.patient_age,
        laterality=found.side,
        foreground=prediction.foreground if prediction else None,
        frame=frame,
    )
    content = record(
        image.name,
        protocol,
        found.points,
        result,
        confidence=prediction.confidence if prediction else None,
        model=prediction.model if prediction else None,
        warnings=(*image.warnings, *found.warnings, *not_framed),
    )
    content = {"image": image.name, "side": found.side, **content}
    files = [stem.with_name(stem.name + ending) for ending in (".mrk.json", ".measurements.json", ".measurements.csv")]
    descriptions = [landmark.description for landmark in protocol.landmarks]
    write_markups(files[0], protocol.landmark_ids, found.points, descriptions)
    write_measurements_json(files[1], content)
    write_measurements_csv(files[2], content)
    files.append(stem.with_name(stem.name + ".overlay.png"))
    write_overlay(files[-1], image, found.points, result, protocol)
    if scene:
        files.append(stem.with_name(stem.name + ".mrb"))
        _write_scene(files[-1], found, protocol, ground)
    return content, tuple(files)


def _write_scene(path: Path, found: _Found, protocol, ground: str) -> None:
    """A scene of its own for each image: nothing of one patient is saved with another."""
    from orthoangles.scene import MeasurementSession, add_volume, start_host
    from orthoangles.scene.saving import save_scene

    host = start_host()
    volume = add_volume(host.scene, found.image)
    if found.part:
        volume.SetName(path.stem)
    session = MeasurementSession.create(volume, protocol, image=found.image)
    if ground != "scanner":
        session.frame_settings = replace(session.frame_settings, ground=ground)
    if found.prediction is None:
        session.set_points(found.points)
    else:
        session.set_prediction(found.prediction)
    save_scene(host.scene, path)
    session.remove()
    host.scene.Clear(True)
