"""``import``: a dataset from foreign labels. ``export``: a dataset for other tools."""

import argparse
import sys
from collections.abc import Callable, Iterable
from contextlib import contextmanager
from pathlib import Path

from orthoangles.cli.progress import ProgressBar

_IMPORT = """\
Bring landmarks from elsewhere into a dataset (a folder with dataset.json beside one image and one .mrk.json per case):
  aasce    the AASCE 2019 spine radiographs in their own layout (data/training, labels/training)
  coco     COCO keypoints: the JSON file, or a folder with one, images beside or below it
  labelme  a folder of labelme's .json files with their images
  slicer   a dataset exported from the modules, or a folder of images with a NAME.mrk.json beside each
Images come in without their headers and names. Labels that are not plausible are imported as they are and named in the
case's provenance."""

_EXPORT = """\
Write a dataset for other tools, without any header or file name of the original images:
  coco     OUTPUT/annotations.json (keypoints, visibility, confidence) and OUTPUT/images/*.png
  labelme  OUTPUT/CASE.json beside OUTPUT/CASE.png
  csv      one row per landmark, in OUTPUT or in OUTPUT/landmarks.csv; volumes too
Cases whose image a reader rejected are left out."""

_NUMBERED = """\
Numbers stand for names, which may be patients': files count in alphabetical order, images and rows as they are listed.
With --show-names they are named."""

_MOST_NAMED = 5


def add_command(commands) -> None:
    """Add ``import`` and ``export``."""
    _add_import(commands)
    _add_export(commands)


def _add_import(commands) -> None:
    parser = commands.add_parser(
        "import",
        help="bring labelled images into a dataset",
        description=_IMPORT,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    origins = ("aasce", "coco", "labelme", "slicer")
    parser.add_argument("--from", dest="origin", required=True, choices=origins, help="what SOURCE holds")
    parser.add_argument("source", type=Path, metavar="SOURCE", help="folder; of coco also the JSON file")
    parser.add_argument("--output", required=True, type=Path, metavar="DATASET", help="folder of the dataset")
    parser.add_argument("--protocol", metavar="ID", help="where the labels fit several protocols, or by order")
    parser.add_argument(
        "--match",
        choices=("name", "order"),
        default="name",
        help="whether a label tells its landmark by its name (default) or by its place in the list",
    )
    parser.add_argument(
        "--show-names", action="store_true", help="name files and labels in messages; they may hold patients' names"
    )
    parser.set_defaults(run=lambda options: _import(parser, options))


def _add_export(commands) -> None:
    from orthoangles.annotation.review_states import REVIEW_STATES

    parser = commands.add_parser(
        "export",
        help="write a dataset for other tools",
        description=_EXPORT,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--dataset", required=True, type=Path, metavar="DATASET", help="folder with a dataset.json")
    parser.add_argument("--to", dest="target", required=True, choices=("coco", "csv", "labelme"), help="format")
    parser.add_argument("--output", required=True, type=Path, metavar="OUTPUT", help="folder; of csv also a .csv file")
    parser.add_argument(
        "--states",
        nargs="+",
        choices=REVIEW_STATES,
        metavar="STATE",
        help=f"only cases reviewed so: {', '.join(REVIEW_STATES)} (default: all but rejected); "
        "labels from elsewhere, never reviewed, always count",
    )
    parser.set_defaults(run=lambda options: _export(parser, options))


def _import(parser: argparse.ArgumentParser, options: argparse.Namespace) -> int:
    from orthoangles.annotation import importing

    if not options.source.is_dir() and not (options.origin == "coco" and options.source.is_file()):
        parser.error("SOURCE is not a folder")
    if options.origin == "aasce" and (options.protocol or options.match != "name"):
        parser.error("aasce has one protocol and one order of its own: leave --protocol and --match out")
    named = {"show_names": options.show_names}
    with _shown_progress() as progress:
        if options.origin == "aasce":
            report = importing.import_aasce(options.source, options.output, progress, **named)
        else:
            bring = {
                "coco": importing.import_coco,
                "labelme": importing.import_labelme,
                "slicer": importing.import_slicer,
            }[options.origin]
            matching = {"protocol": options.protocol, "match": options.match}
            report = bring(options.source, options.output, progress, **matching, **named)
    for case_id, flags in report.flagged:
        print(f"doubtful labels: {case_id}: {'; '.join(flags)}", file=sys.stderr)
    _print_text(report.with_text)
    _print_failed(report.failed)
    if report.failed and not options.show_names:
        print(_NUMBERED, file=sys.stderr)
    print(
        f"{len(report.imported)} cases imported into {options.output}, {len(report.flagged)} with doubtful labels, "
        f"{len(report.failed)} failed"
    )
    return 1 if report.failed else 0


def _export(parser: argparse.ArgumentParser, options: argparse.Namespace) -> int:
    from orthoangles.annotation import exports

    if not (options.dataset / "dataset.json").is_file():
        parser.error("--dataset holds no dataset.json; 'import' or 'simulate' makes one")
    write = {"coco": exports.write_coco, "labelme": exports.write_labelme, "csv": exports.write_table}[options.target]
    chosen = {"states": tuple(options.states)} if options.states else {}
    with _shown_progress() as progress:
        report = write(options.dataset, options.output, progress=progress, **chosen)
    _print_text(report.with_text)
    _print_failed(report.failed)
    print(
        f"{len(report.written)} cases written to {options.output}, {len(report.left_out)} left out for their review "
        f"state, {len(report.failed)} failed"
    )
    return 1 if report.failed else 0


@contextmanager
def _shown_progress() -> Iterable[Callable[[float, str], None]]:
    with ProgressBar(100, "%") as bar:
        done = 0

        def progress(fraction: float, name: str) -> None:
            nonlocal done
            while done < int(fraction * 100):
                done += 1
                bar.advance(name)

        yield progress


def _print_text(case_ids: tuple[str, ...]) -> None:
    for case_id in case_ids:
        print(f"text in the picture? {case_id}: look at it before you pass it on", file=sys.stderr)


def _print_failed(failed: tuple[tuple[str, str], ...]) -> None:
    """One line per reason, however many it struck."""
    by_reason: dict[str, list[str]] = {}
    for name, reason in failed:
        by_reason.setdefault(reason, []).append(name)
    for reason, names in by_reason.items():
        more = f" and {len(names) - _MOST_NAMED} more" if len(names) > _MOST_NAMED else ""
        print(f"error: {', '.join(names[:_MOST_NAMED])}{more}: {reason}", file=sys.stderr)
