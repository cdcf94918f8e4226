"""``import``: a dataset from foreign labels."""

import argparse
import sys
from pathlib import Path

from orthoangles.cli.progress import ProgressBar

_IMPORT = """\
Bring landmarks from elsewhere into a dataset (a folder with dataset.json beside one image and one .mrk.json per case):
  aasce   the AASCE 2019 spine radiographs in their own layout (data/training, labels/training)
  slicer  a dataset exported from the modules, or a folder of images with a NAME.mrk.json beside each
Labels that are not plausible are imported as they are and named in the case's provenance."""


def add_command(commands) -> None:
    """Add ``import``."""
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
