"""``agreement``: how far readers of the same images, or readers and the model, agree."""

import argparse
import sys
from pathlib import Path

from orthoangles.cli.progress import ProgressBar

_DESCRIPTION = """\
Compare readings of the same images: datasets of two or more readers, or with --model a reader's dataset and the
proposals of the model that are stored in it. A reader is whom the cases name, or else the dataset; two datasets of one
reader are repeated readings. Images match by their digest. Writes to DIR:
  summary.md, summary.json  ICC(2,1), bias and limits of agreement, distances of landmarks, largest differences
  differences.csv           every single difference
  figures                   a Bland-Altman page for each measurement, and the landmarks; as PNG and SVG
Exit code: 0 all compared, 1 nothing to compare or some cases could not be read (each named), 2 bad usage."""


def add_command(commands) -> None:
    """Add ``agreement``."""
    parser = commands.add_parser(
        "agreement",
        help="compare readers with each other or with the model",
        description=_DESCRIPTION,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "--dataset", required=True, nargs="+", type=Path, metavar="DATASET", help="folders with a dataset.json"
    )
    parser.add_argument("--model", action="store_true", help="compare with the proposals stored in the datasets too")
    parser.add_argument("--names", nargs="+", default=[], metavar="NAME", help="readers' names, one for each dataset")
    parser.add_argument("--protocol", metavar="ID", help="which one, where the datasets hold several")
    parser.add_argument("--outliers", type=int, default=20, metavar="N", help="how many to list of each kind (20)")
    parser.add_argument("--output", required=True, type=Path, metavar="DIR", help="folder for tables and figures")
    parser.set_defaults(run=lambda options: _run(parser, options))


def _run(parser: argparse.ArgumentParser, options: argparse.Namespace) -> int:
    from orthoangles.annotation.agreement import find_agreement
    from orthoangles.annotation.agreement.report import write_report

    _check(parser, options)
    with ProgressBar(100, "% read") as bar:
        agreement = find_agreement(
            options.dataset,
            protocol=options.protocol,
            model=options.model,
            names=options.names,
            outliers=options.outliers,
            progress=bar.up_to,
        )
    with ProgressBar(100, "% drawn") as bar:
        write_report(agreement, options.output, bar.up_to)
    failed = [entry for entry in agreement.left_out if entry.failed]
    for entry in failed:
        print(f"error: {entry.dataset}, case {entry.case}: {entry.reason}", file=sys.stderr)
    print(
        f"{len(agreement.compared)} images compared of {len(agreement.images)} ({', '.join(agreement.raters)}), "
        f"{len(agreement.incomplete)} not read by all, {len(agreement.left_out)} cases left out; see "
        f"{options.output / 'summary.md'}"
    )
    return 1 if failed else 0


def _check(parser: argparse.ArgumentParser, options: argparse.Namespace) -> None:
    from orthoangles.protocols import available_protocols

    for folder in options.dataset:
        if not (folder / "dataset.json").is_file():
            parser.error(f"--dataset: {folder.name} holds no dataset.json; 'import' or an export makes one")
    if len({folder.resolve() for folder in options.dataset}) < len(options.dataset):
        parser.error("--dataset: one folder is named twice")
    if options.names and len(options.names) != len(options.dataset):
        parser.error(f"--names: {len(options.names)} names for {len(options.dataset)} datasets; give one for each")
    if options.protocol and options.protocol not in available_protocols():
        parser.error(f"--protocol: there is no '{options.protocol}'; choose one of {', '.join(available_protocols())}")
    if options.outliers < 0:
        parser.error("--outliers: must be 0 or more")
