"""``measure``: images in, angles out."""

import argparse
import json
import sys
import traceback
from pathlib import Path

from orthoangles.cli.progress import ProgressBar

_DESCRIPTION = """\
Find the landmarks of a protocol in each image, measure, and write for each image NAME:
  NAME.mrk.json           the landmarks, as Slicer opens them
  NAME.measurements.json  everything, the same as --json prints
  NAME.measurements.csv   a table of the measurements
  NAME.overlay.png        the image with landmarks, lines and angles
  NAME.mrb                with --scene: a scene that Slicer opens, with the angles live
An image may be a DICOM file or folder, PNG, JPEG, TIFF, NRRD, NIfTI or MHA. A radiograph of two feet gives two
results, NAME-right and NAME-left; feet may lie on their side; another view than the protocol's is refused. A file
that fails is named with its reason and the others go on. Exit code: 0 all done, 1 some images failed, 2 bad usage."""


def add_command(commands) -> None:
    """Add ``measure``."""
    parser = commands.add_parser(
        "measure",
        help="measure images",
        description=_DESCRIPTION,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("images", nargs="+", type=Path, metavar="IMAGE", help="image file or DICOM folder")
    parser.add_argument("--protocol", required=True, metavar="ID", help="what to measure, e.g. spine-ap-cobb")
    parser.add_argument("--output", type=Path, default=Path("results"), metavar="DIR", help="default: results")
    parser.add_argument("--device", default="auto", help="auto (default), cpu, cuda:0 or mps")
    parser.add_argument(
        "--landmarks",
        type=Path,
        metavar="FILE",
        help="measure these landmarks, not the network's: a .mrk.json, or a folder of NAME.mrk.json",
    )
    parser.add_argument("--scene", action="store_true", help="write NAME.mrb too (needs Slicer or slicer-core)")
    parser.add_argument("--json", action="store_true", help="print one JSON object a line on the standard output")
    parser.add_argument("--traceback", action="store_true", help="show where an unexpected error came from")
    parser.set_defaults(run=lambda options: _run(parser, options))


def _run(parser: argparse.ArgumentParser, options: argparse.Namespace) -> int:
    from orthoangles.batch import measure_files
    from orthoangles.protocols import available_protocols, load_protocol

    if options.protocol not in available_protocols() and not options.protocol.endswith(".json"):
        parser.error(f"there is no protocol '{options.protocol}'; choose one of {', '.join(available_protocols())}")
    protocol = load_protocol(options.protocol)
    if not options.landmarks and not protocol.bundle:
        parser.error(
            f"protocol '{protocol.id}' has no network yet; give landmarks placed by hand: --landmarks NAME.mrk.json"
        )
    if options.landmarks and not options.landmarks.exists():
        parser.error(f"--landmarks: {options.landmarks.name} does not exist")
    if options.landmarks and options.landmarks.is_file() and len(options.images) > 1:
        parser.error(
            "--landmarks: one file cannot serve several images; give a folder with one NAME.mrk.json per image"
        )
    if options.scene:
        _require_scene(parser)
    backend = None if options.landmarks else _backend(parser, protocol, options.device)
    results = measure_files(
        options.images,
        protocol,
        options.output,
        backend=backend,
        landmarks=options.landmarks,
        scene=options.scene,
        on_unexpected=_show_traceback if options.traceback else None,
    )
    with ProgressBar(len(options.images), "images", shown=len(options.images) > 1) as bar:
        failed = _print_results(results, bar, as_json=options.json)
    if not options.json or failed:
        done = len(options.images) - len(failed)
        print(f"{done} of {len(options.images)} measured; results in {options.output}", file=sys.stderr)
    return 1 if failed else 0


def _print_results(results, bar: ProgressBar, *, as_json: bool) -> set[int]:
    """Print each result as it comes; the places of the images that failed, wholly or in one foot."""
    failed, seen = set(), set()
    for result in results:
        _print_result(result, bar, as_json=as_json)
        if result.error is not None:
            failed.add(result.index)
        if result.index not in seen:
            bar.advance(result.name)
        seen.add(result.index)
    return failed


def _backend(parser: argparse.ArgumentParser, protocol, device: str):
    from orthoangles.predicting import available_devices, backend_for

    device = "cuda:0" if device == "cuda" else device
    if device not in ("auto", *available_devices()):
        parser.error(f"--device: '{device}' is not here; choose one of auto, {', '.join(available_devices())}")
    return backend_for(protocol, device)


def _require_scene(parser: argparse.ArgumentParser) -> None:
    from importlib.util import find_spec

    if find_spec("slicer") is None:
        parser.error("--scene needs Slicer's Python or the slicer-core package (pip install slicer-core)")


def _show_traceback(name: str, error: Exception) -> None:
    print(f"{name}:", file=sys.stderr)
    traceback.print_exception(error, file=sys.stderr)


def _print_result(result, bar: ProgressBar, *, as_json: bool) -> None:
    from orthoangles.reporting import summary_lines

    if result.error is not None:
        bar.write(f"error: {_named(result)}", sys.stderr)
        if as_json:
            bar.write(json.dumps({"image": result.name, "error": result.error}, ensure_ascii=False), sys.stdout)
    elif as_json:
        bar.write(json.dumps(result.record, ensure_ascii=False, allow_nan=False), sys.stdout)
    else:
        title, *lines = summary_lines(result.record)
        side = result.record["side"]
        bar.write("\n".join([f"{title}, {side} side" if side else title, *lines]), sys.stdout)


def _named(result) -> str:
    return result.error if result.error.startswith(result.name) else f"{result.name}: {result.error}"
