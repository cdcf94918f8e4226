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
  NAME.overlay.png        the image with landmarks, lines and angles; of a volume, slices through each landmark
  NAME.mrb                with --scene: a scene that Slicer opens, with the angles live
An image may be a DICOM file or folder, PNG, JPEG, TIFF, NRRD, NIfTI or MHA; a protocol for volumes takes a folder of
CT slices, NRRD, NIfTI or MHA. An image of two feet gives two results, NAME-right and NAME-left; on a radiograph they
may lie on their side; another view than the protocol's is refused. A file that fails is named with its reason and the
others go on. Exit code: 0 all done, 1 some images failed, 2 bad usage.

A folder of images stands for the images right in it. Of more than one image two tables are written too:
  measurements.csv        all measurements of all images, one row each
  failures.csv            the images that failed, with their reasons
and a call that was stopped goes on where it was when it is given again: what is finished in the same output folder
from the same file, protocol, network and options is not measured again. Failed images are tried again."""


def add_command(commands) -> None:
    """Add ``measure``."""
    parser = commands.add_parser(
        "measure",
        help="measure images",
        description=_DESCRIPTION,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "images", nargs="+", type=Path, metavar="IMAGE", help="image file, DICOM folder or folder of images"
    )
    parser.add_argument("--protocol", required=True, metavar="ID", help="what to measure, e.g. spine-ap-cobb")
    parser.add_argument("--output", type=Path, default=Path("results"), metavar="DIR", help="default: results")
    parser.add_argument(
        "--workers", type=_positive, default=1, metavar="N", help="processes that share the images (default: 1)"
    )
    parser.add_argument("--again", action="store_true", help="measure what an earlier call has finished, too")
    parser.add_argument("--device", default="auto", help="auto (default), cpu, cuda:0 or mps")
    parser.add_argument(
        "--landmarks",
        type=Path,
        metavar="FILE",
        help="measure these landmarks, not the network's: a .mrk.json, or a folder of NAME.mrk.json",
    )
    parser.add_argument(
        "--ground",
        choices=("scanner", "landmarks"),
        default="scanner",
        help="of a volume: what is level, the scanner's vertical (default) or what heel and metatarsal heads show",
    )
    parser.add_argument("--scene", action="store_true", help="write NAME.mrb too (needs Slicer or slicer-core)")
    parser.add_argument("--json", action="store_true", help="print one JSON object a line on the standard output")
    parser.add_argument("--traceback", action="store_true", help="show where an unexpected error came from")
    parser.set_defaults(run=lambda options: _run(parser, options))


def _positive(text: str) -> int:
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError("not above 0")
    return number


def _run(parser: argparse.ArgumentParser, options: argparse.Namespace) -> int:
    from orthoangles.batch_names import images_of
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
    images = images_of(options.images, protocol.dimension)
    if options.landmarks and options.landmarks.is_file() and len(images) > 1:
        parser.error(
            "--landmarks: one file cannot serve several images; give a folder with one NAME.mrk.json per image"
        )
    if options.ground != "scanner" and protocol.dimension == 2:
        parser.error(f"--ground: protocol '{protocol.id}' measures radiographs; only a volume has a ground")
    if options.scene:
        _require_scene(parser)
    if not options.landmarks:
        options.device = _device(parser, options.device)
    # A single image is measured by this process and leaves nothing but its own files.
    several = len(images) > 1 or images != options.images
    results = _of_many(images, options) if several else _of_one(images, protocol, options)
    with ProgressBar(len(images), "images", shown=several) as bar:
        failed, earlier = _print_results(results, bar, as_json=options.json)
    if not options.json or failed:
        note = f" ({len(earlier)} of them by an earlier call)" if earlier else ""
        print(
            f"{len(images) - len(failed)} of {len(images)} measured{note}; results in {options.output}", file=sys.stderr
        )
    return 1 if failed else 0


def _of_one(images, protocol, options: argparse.Namespace):
    from orthoangles.batch import measure_files
    from orthoangles.predicting import backend_for

    return measure_files(
        images,
        protocol,
        options.output,
        backend=None if options.landmarks else backend_for(protocol, options.device),
        landmarks=options.landmarks,
        scene=options.scene,
        ground=options.ground,
        on_unexpected=_show_traceback if options.traceback else None,
    )


def _of_many(images, options: argparse.Namespace):
    from orthoangles.batch_many import Work, measure_many

    work = Work(
        options.protocol,
        options.output,
        options.landmarks,
        options.scene,
        options.ground,
        options.device,
        _show_traceback if options.traceback else None,
    )
    return measure_many(images, work, workers=options.workers, again=options.again)


def _print_results(results, bar: ProgressBar, *, as_json: bool) -> tuple[set[int], set[int]]:
    """Print each result as it comes; the places of the images that failed, wholly or in one foot, and of those that
    an earlier call measured.
    """
    failed, earlier, seen = set(), set(), set()
    for result in results:
        _print_result(result, bar, as_json=as_json)
        if result.error is not None:
            failed.add(result.index)
        if result.earlier:
            earlier.add(result.index)
        if result.index not in seen:
            bar.advance(result.name)
        seen.add(result.index)
    return failed, earlier


def _device(parser: argparse.ArgumentParser, device: str) -> str:
    device = "cuda:0" if device == "cuda" else device
    if device in ("auto", "cpu"):
        return device
    from orthoangles.predicting import available_devices

    if device not in available_devices():
        parser.error(f"--device: '{device}' is not here; choose one of auto, {', '.join(available_devices())}")
    return device


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
