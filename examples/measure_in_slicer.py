r"""Measure images inside Slicer, save live scenes, and export the cases for training. No window is needed:

    Slicer --no-splash --no-main-window --python-script examples/measure_in_slicer.py \
        --output results spine1.dcm spine2.png

The same runs without Slicer's application, on the slicer-core package:

    .venv/bin/python examples/measure_in_slicer.py --output results spine1.dcm

For each image NAME it writes NAME.mrb, which Slicer opens with draggable landmarks and live angles, prints the
measurements, and adds the case to the dataset OUTPUT/dataset. With ``--landmarks FOLDER`` the landmarks come from
FOLDER/NAME.mrk.json and no network runs. Exit code: 0 all done, 1 some images failed.
"""

import argparse
import sys
from pathlib import Path

try:
    import orthoangles  # noqa: F401
except ImportError:
    # Not installed in this Slicer: use the checkout that this example lies in.
    sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from orthoangles.annotation.exporting import export_session
from orthoangles.annotation.markups_json import read_markups
from orthoangles.errors import OrthoAnglesError
from orthoangles.images import read_image
from orthoangles.protocols import load_protocol
from orthoangles.scene import MeasurementSession, add_volume, scene_host
from orthoangles.scene.saving import save_scene


def parse(arguments: list[str]) -> argparse.Namespace:
    """The options of this example."""
    parser = argparse.ArgumentParser(description="Measure images in a Slicer scene.")
    parser.add_argument("images", nargs="+", type=Path)
    parser.add_argument("--protocol", default="spine-ap-cobb")
    parser.add_argument("--output", type=Path, default=Path("results"))
    parser.add_argument("--landmarks", type=Path, help="folder of NAME.mrk.json to measure instead of the network's")
    return parser.parse_args(arguments)


def measure_one(scene, path: Path, protocol, backend, options: argparse.Namespace) -> None:
    """One image: volume, landmarks, angles, saved scene, exported case."""
    image = read_image(path)
    session = MeasurementSession.create(add_volume(scene, image), protocol, image=image)
    if backend is None:
        markups = read_markups(options.landmarks / f"{path.stem}.mrk.json")
        session.set_points(markups.ordered(protocol.landmark_ids))
    else:
        session.set_prediction(backend.predict(image))
    # A reader would drag points now; a script may: session.set_point("T5-TL", (x, y, z)) in LPS mm.
    print(path.name)
    for measurement in session.result.measurements:
        if measurement.value is not None:
            print(f"  {measurement.name}: {measurement.value:.1f} {measurement.unit}")
    save_scene(scene, options.output / f"{path.stem}.mrb")
    export_session(options.output / "dataset", session)
    session.remove()


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
    for path in options.images:
        scene.Clear(False)
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
