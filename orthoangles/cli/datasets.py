"""``import`` and ``simulate``: datasets from foreign labels and from rendered images."""

import argparse
import sys
from pathlib import Path

from orthoangles.cli.progress import ProgressBar

_IMPORT = """\
Bring landmarks from elsewhere into a dataset (a folder with dataset.json beside one image and one .mrk.json per case):
  aasce   the AASCE 2019 spine radiographs in their own layout (data/training, labels/training)
  slicer  a dataset exported from the modules, or a folder of images with a NAME.mrk.json beside each
Labels that are not plausible are imported as they are and named in the case's provenance."""


def add_commands(commands) -> None:
    """Add ``import`` and ``simulate``."""
    parser = commands.add_parser(
        "import",
        help="bring labelled images into a dataset",
        description=_IMPORT,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--from", dest="origin", required=True, choices=("aasce", "slicer"), help="what SOURCE holds")
    parser.add_argument("source", type=Path, metavar="SOURCE", help="folder")
    parser.add_argument("--output", required=True, type=Path, metavar="DATASET", help="folder of the dataset")
    parser.add_argument("--protocol", metavar="ID", help="of a plain folder whose labels fit several protocols")
    parser.set_defaults(run=lambda options: _import(parser, options))

    parser = commands.add_parser(
        "simulate",
        help="render synthetic images with exact landmarks into a dataset",
        description="Render AP whole-spine radiographs with their 68 corners. The same seed gives the same images.",
    )
    parser.add_argument("kind", choices=("spine",), help="what to render")
    parser.add_argument("--count", required=True, type=_positive, metavar="N", help="number of images")
    parser.add_argument("--seed", type=int, default=0, metavar="S", help="of the first image; the next has S + 1")
    parser.add_argument("--output", required=True, type=Path, metavar="DATASET", help="folder of the dataset")
    parser.add_argument(
        "--size", nargs=2, type=_positive, default=(1024, 448), metavar=("ROWS", "COLUMNS"), help="default: 1024 448"
    )
    parser.set_defaults(run=lambda options: _simulate(parser, options))


def _positive(text: str) -> int:
    value = int(text)
    if value < 1:
        raise argparse.ArgumentTypeError(f"{value} is not above 0")
    return value


def _import(parser: argparse.ArgumentParser, options: argparse.Namespace) -> int:
    from orthoangles.annotation.importing import import_aasce, import_slicer

    if not options.source.is_dir():
        parser.error(f"{options.source.name} is not a folder")
    with ProgressBar(100, "%") as bar:
        done = 0

        def progress(fraction: float, name: str) -> None:
            nonlocal done
            while done < int(fraction * 100):
                done += 1
                bar.advance(name)

        if options.origin == "aasce":
            report = import_aasce(options.source, options.output, progress)
        else:
            report = import_slicer(options.source, options.output, progress, protocol=options.protocol)
    for case_id, flags in report.flagged:
        print(f"doubtful labels: {case_id}: {'; '.join(flags)}", file=sys.stderr)
    for name, reason in report.failed:
        print(f"error: {name}: {reason}", file=sys.stderr)
    print(
        f"{len(report.imported)} cases imported into {options.output}, {len(report.flagged)} with doubtful labels, "
        f"{len(report.failed)} failed"
    )
    return 1 if report.failed else 0


def _simulate(parser: argparse.ArgumentParser, options: argparse.Namespace) -> int:
    from orthoangles.simulation.datasets import simulate_spines

    rows, columns = options.size
    if rows < 128 or columns < 48:
        parser.error("--size: a spine needs at least 128 rows and 48 columns")
    with ProgressBar(options.count, "images") as bar:
        ids = simulate_spines(options.output, options.count, options.seed, (rows, columns), bar.advance)
    print(f"{len(ids)} cases simulated into {options.output}")
    return 0
