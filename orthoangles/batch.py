"""Many images, one after the other: read, place landmarks, measure, write. A bad image never stops the others."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from orthoangles.annotation.markups_json import read_markups, write_markups
from orthoangles.errors import OrthoAnglesError
from orthoangles.images import Image, read_image, require_radiograph
from orthoangles.measuring import measure
from orthoangles.predictions import Prediction
from orthoangles.protocols import Protocol as MeasuringProtocol
from orthoangles.reporting import record, write_measurements_csv, write_measurements_json, write_overlay

_ENDINGS = (".nii.gz", ".mrk.json")


class Predictor(Protocol):
    """What finds landmarks in an image: :class:`orthoangles.predicting.Backend`, or a stand-in of a test."""

    def predict(self, image: Image) -> Prediction:
        """Landmarks of one image."""


@dataclass(frozen=True)
class FileResult:
    """What came of one image: ``record`` as in NAME.measurements.json and the ``files`` written, or the ``error``.

    ``name`` is the file's name without its folder, ``seconds`` the time it took.
    """

    name: str
    record: dict[str, Any] | None
    files: tuple[Path, ...] = ()
    error: str | None = None
    seconds: float = 0.0


@dataclass(frozen=True)
class _Landmarks:
    """Landmarks of one image, wherever they came from."""

    points: np.ndarray
    prediction: Prediction | None = None


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
    """Measure ``paths`` (image files or DICOM folders) and yield one result each, in order, as soon as it is written.

    Landmarks come from ``backend.predict``, or from ``landmarks``: a .mrk.json file, or a folder that holds one
    NAME.mrk.json for each image NAME. Writes to ``output``, made where it is missing: NAME.mrk.json,
    NAME.measurements.json and .csv, NAME.overlay.png and with ``scene`` NAME.mrb, each atomically; of two images of one
    name the second's files are called NAME-2. An error that is no fault of the file reaches ``on_unexpected`` with the
    image's name before it is noted. Raises ValueError without either source of landmarks, and OSError where the output
    folder cannot be made.
    """
    if (backend is None) == (landmarks is None):
        raise ValueError("give a backend or landmarks, one of the two")
    output.mkdir(parents=True, exist_ok=True)
    for path, stem in zip(paths, output_names(paths), strict=True):
        yield _measure_file(path, output / stem, protocol, backend, landmarks, scene, on_unexpected)


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


def _measure_file(path, stem: Path, protocol, backend, landmarks, scene, on_unexpected) -> FileResult:
    import time

    started = time.perf_counter()
    try:
        image = read_image(path)
        if protocol.dimension == 2:
            require_radiograph(image)
        found = _find_landmarks(image, stem.name, protocol, backend, landmarks, path)
        content, files = _write_results(image, found, stem, protocol, scene)
    except OrthoAnglesError as error:
        return FileResult(path.name, None, error=str(error), seconds=time.perf_counter() - started)
    except Exception as error:
        if on_unexpected:
            on_unexpected(path.name, error)
        # The text of a foreign error may quote the file's content, and with it a patient: its kind must do.
        reason = f"{path.name}: unexpected error ({type(error).__name__})."
        return FileResult(path.name, None, error=reason, seconds=time.perf_counter() - started)
    return FileResult(path.name, content, files, seconds=time.perf_counter() - started)


def _find_landmarks(image, name: str, protocol, backend, landmarks: Path | None, path: Path) -> _Landmarks:
    if landmarks is None:
        prediction = backend.predict(image)
        return _Landmarks(prediction.points, prediction)
    file = landmarks / f"{name}.mrk.json" if landmarks.is_dir() else landmarks
    if landmarks.is_dir() and not file.exists():
        raise OrthoAnglesError(f"{path.name}: folder {landmarks.name} holds no {file.name}.")
    return _Landmarks(read_markups(file).ordered(protocol.landmark_ids))


def _write_results(
    image, found: _Landmarks, stem: Path, protocol, scene: bool
) -> tuple[dict[str, Any], tuple[Path, ...]]:
    prediction = found.prediction
    result = measure(
        protocol,
        found.points,
        spread=prediction.spread if prediction else None,
        image=image,
        age=image.patient_age,
        laterality=image.laterality,
        foreground=prediction.foreground if prediction else None,
    )
    content = record(
        image.name,
        protocol,
        found.points,
        result,
        confidence=prediction.confidence if prediction else None,
        model=prediction.model if prediction else None,
        warnings=(*image.warnings, *(prediction.warnings if prediction else ())),
    )
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
        _write_scene(files[-1], image, found, protocol)
    return content, tuple(files)


def _write_scene(path: Path, image, found: _Landmarks, protocol) -> None:
    """A scene of its own for each image: nothing of one patient is saved with another."""
    from orthoangles.scene import MeasurementSession, add_volume, start_host
    from orthoangles.scene.saving import save_scene

    host = start_host()
    session = MeasurementSession.create(add_volume(host.scene, image), protocol, image=image)
    if found.prediction is None:
        session.set_points(found.points)
    else:
        session.set_prediction(found.prediction)
    save_scene(host.scene, path)
    session.remove()
    host.scene.Clear(True)
