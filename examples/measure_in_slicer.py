r"""Measure images inside Slicer, save live scenes, and export the cases for training. No window is needed:

    Slicer --no-splash --no-main-window --python-script examples/measure_in_slicer.py \
        --output results spine1.dcm spine2.png

The same runs without Slicer's application, on the slicer-core package:

    .venv/bin/python examples/measure_in_slicer.py --output results spine1.dcm
    .venv/bin/python examples/measure_in_slicer.py --protocol foot-ap --output results feet.dcm

A folder stands for the images in it. For each image NAME it writes NAME.mrb, which Slicer opens with draggable
landmarks and live angles, prints the measurements, and adds the case to the dataset OUTPUT/dataset. Two feet in one
image are two such cases, NAME-right and NAME-left. With ``--landmarks FOLDER`` the landmarks come from
FOLDER/NAME.mrk.json and no network runs. Exit code: 0 all done, 1 some images failed.
"""

import argparse
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

try:
    import orthoangles  # noqa: F401
except ImportError:
    # Not installed in this Slicer: use the checkout that this example lies in.
    sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from orthoangles.annotation.exporting import export_session
from orthoangles.annotation.markups_json import read_markups
from orthoangles.batch_names import images_of
from orthoangles.errors import OrthoAnglesError
from orthoangles.images import Image, read_image
from orthoangles.predictions import Prediction
from orthoangles.protocols import load_protocol
from orthoangles.scene import MeasurementSession, add_volume, scene_host
from orthoangles.scene.saving import save_scene
from orthoangles.subjects import find_subjects


def parse(arguments: list[str]) -> argparse.Namespace:
    """The options of this example."""
    parser = argparse.ArgumentParser(description="Measure images in a Slicer scene.")
    parser.add_argument("images", nargs="+", type=Path, help="image files, or folders of them")
    parser.add_argument("--protocol", default="spine-ap-cobb", help="what to measure, by its id")
    parser.add_argument("--output", type=Path, default=Path("results"))
    parser.add_argument("--landmarks", type=Path, help="folder of NAME.mrk.json to measure instead of the network's")
    return parser.parse_args(arguments)


@dataclass(frozen=True)
class Case:
    """One foot or spine: the upright image, its landmarks, and the name of its files."""

    name: str
    image: Image
    points: np.ndarray
    prediction: Prediction | None = None


def cases_of(path: Path, image: Image, protocol, backend, landmarks: Path | None) -> Iterator[Case]:
    """What is to be measured in an image, by the network or from a file."""
    if backend is None:
        yield Case(path.stem, image, read_markups(landmarks / f"{path.stem}.mrk.json").ordered(protocol.landmark_ids))
        return
    subjects = find_subjects(backend, protocol, image, lambda view, *_: backend.predict(view))
    for number, subject in enumerate(subjects, start=1):
        name = path.stem if subject.alone else f"{path.stem}-{subject.side or number}"
        yield Case(name, subject.image, subject.prediction.points, subject.prediction)


def measure_case(scene, case: Case, protocol, group: str, output: Path) -> None:
    """One case: volume, landmarks, angles, saved scene, exported case."""
    scene.Clear(False)
    session = MeasurementSession.create(add_volume(scene, case.image), protocol, image=case.image)
    if case.prediction is None:
        session.set_points(case.points)
    else:
        session.set_prediction(case.prediction)
    # A reader would drag points now; a script may: session.set_point("T5-TL", (x, y, z)) in LPS mm.
    print(case.name)
    for measurement in session.result.measurements:
        if measurement.value is not None:
            print(f"  {measurement.name}: {measurement.value:.1f} {measurement.unit}")
    save_scene(scene, output / f"{case.name}.mrb")
    export_session(output / "dataset", session, group=group)
    session.remove()


def measure_one(scene, path: Path, protocol, backend, options: argparse.Namespace) -> None:
    """One image, with both feet where it shows two: they are one patient's, and so one group of the dataset."""
    image = read_image(path)
    for case in cases_of(path, image, protocol, backend, options.landmarks):
        measure_case(scene, case, protocol, image.sha256[:16], options.output)


def main(arguments: list[str]) -> int:
    """Measure all images; one that fails is named and the others go on."""
    options = parse(arguments)
    options.output.mkdir(parents=True, exist_ok=True)
    protocol = load_protocol(options.protocol)
    backend = None
    if options.landmarks is None:
        from orthoangles.predicting import backend_for

        backend = backend_for(protocol)
    scene = scene_host().scene
    failed = 0
    for path in images_of(options.images, protocol.dimension):
        try:
            measure_one(scene, path, protocol, backend, options)
        except OrthoAnglesError as error:
            failed += 1
            print(f"error: {error}", file=sys.stderr)
    return 1 if failed else 0


if __name__ == "__main__":
    code = main(sys.argv[1:])
    import slicer

    # Inside Slicer the application would go on running after the script.
    if hasattr(slicer, "app"):
        slicer.util.exit(code)
    else:
        sys.exit(code)
