"""``simulate``: synthetic images with exact landmarks, as a dataset."""

import argparse
import os
import sys
from collections.abc import Mapping
from pathlib import Path

from orthoangles.cli.progress import ProgressBar

_DESCRIPTION = """\
Render synthetic images with exact landmarks into a dataset. The case of a seed is the same on every machine and with
any number of workers. What is already there is skipped: run it again to finish what was interrupted.
Beside the images: dataset.json, simulation.json (how it was made) and contact-sheet.png (to look at)."""

_SPINE = """\
AP radiographs of the whole spine with the four corners of T1 to L5 (protocol spine-ap-cobb): drawn, or with --bones
projected from the meshes of a spine with ribs and pelvis."""

_FOOT = """\
Weight-bearing feet: bones are posed with the asked deformities, and each foot gives the views asked for, an AP
radiograph (protocols foot-ap and foot-ap-hallux, one image), a lateral one (foot-lateral) and a WBCT volume
(foot-wbct). Without --bones, a set of bones built by code is used."""


def add_command(commands) -> None:
    """Add ``simulate spine`` and ``simulate foot``."""
    parser = commands.add_parser(
        "simulate",
        help="render synthetic images with exact landmarks into a dataset",
        description=_DESCRIPTION,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    kinds = parser.add_subparsers(title="kinds", required=True, metavar="KIND")
    _add_spine(kinds)
    _add_foot(kinds)


def _add_spine(kinds) -> None:
    parser = kinds.add_parser("spine", help="AP whole-spine radiographs", description=_SPINE)
    _add_common(parser)
    parser.add_argument(
        "--size", nargs=2, type=_positive, default=(1024, 448), metavar=("ROWS", "COLUMNS"), help="default: 1024 448"
    )
    parser.set_defaults(run=lambda options: _simulate_spines(parser, options))


def _add_foot(kinds) -> None:
    parser = kinds.add_parser("foot", help="weight-bearing feet: AP, lateral, WBCT", description=_FOOT)
    _add_common(parser)
    parser.add_argument(
        "--views", nargs="+", choices=("ap", "lateral", "wbct"), default=("ap", "lateral"), help="default: ap lateral"
    )
    parser.add_argument("--persons", nargs="+", default=(), metavar="ID", help="use the bones of these persons only")
    parser.add_argument(
        "--distribution",
        default="uniform",
        choices=("uniform", "clinic", "population"),
        help="how often each degree of a deformity occurs (default: uniform)",
    )
    parser.add_argument(
        "--angle",
        action="append",
        type=_angle,
        default=[],
        metavar="NAME=DEGREES",
        help="set a deformity, such as hallux_valgus=30; may be repeated (--list-angles names them)",
    )
    parser.add_argument("--size", type=_positive, metavar="PIXELS", help="longer side of a radiograph (default: 1024)")
    parser.add_argument("--spacing", type=float, default=0.5, metavar="MM", help="of a WBCT volume (default: 0.5)")
    parser.add_argument("--plain", action="store_true", help="standard views, no artefacts, text or collimation")
    parser.add_argument("--device", default="cpu", help="where radiographs are projected: cpu (default), cuda")
    parser.add_argument("--list-angles", action=_ListAngles, help="name the deformities and their ranges, then exit")
    parser.set_defaults(run=lambda options: _simulate_feet(parser, options))


def _add_common(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--count", required=True, type=_positive, metavar="N", help="number of seeds")
    parser.add_argument("--seed", type=_not_negative, default=0, metavar="S", help="the first; the next is S + 1")
    parser.add_argument("--output", required=True, type=Path, metavar="DATASET", help="folder of the dataset")
    parser.add_argument("--bones", type=Path, metavar="DIR", help="bone library: named meshes and manifest.json")
    parser.add_argument("--split", choices=("train", "validation", "test"), default="", help="note it with each case")
    parser.add_argument(
        "--workers",
        type=_positive,
        default=_cores(),
        metavar="W",
        help="processes (default: %(default)s, the cores)",
    )


def _cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _positive(text: str) -> int:
    value = int(text)
    if value < 1:
        raise argparse.ArgumentTypeError(f"{value} is not above 0")
    return value


def _not_negative(text: str) -> int:
    value = int(text)
    if value < 0:
        raise argparse.ArgumentTypeError(f"{value} is below 0")
    return value


def _angle(text: str) -> tuple[str, float]:
    name, found, degrees = text.partition("=")
    try:
        if not found:
            raise ValueError
        return name.strip().replace("-", "_"), float(degrees)
    except ValueError:
        raise argparse.ArgumentTypeError(f"'{text}' is not NAME=DEGREES, such as hallux_valgus=30") from None


class _ListAngles(argparse.Action):
    def __init__(self, *args, **kwargs) -> None:
        super().__init__(*args, nargs=0, **kwargs)

    def __call__(self, parser, namespace, values, option_string=None) -> None:
        from orthoangles.simulation.pose.deformities import DEFORMITIES

        for each in DEFORMITIES.values():
            print(f"{each.name:20} {each.low:4g} to {each.high:3g}  {each.meaning} ({each.key})")
        parser.exit()


def _simulate_spines(parser: argparse.ArgumentParser, options: argparse.Namespace) -> int:
    from orthoangles.simulation.datasets.jobs import BoneSpineJob, SpineJob

    rows, columns = options.size
    if rows < 128 or columns < 48:
        parser.error("--size: a spine needs at least 128 rows and 48 columns")
    size = (rows, columns)
    return _simulate(BoneSpineJob(options.bones, size) if options.bones else SpineJob(size), options)


def _simulate_feet(parser: argparse.ArgumentParser, options: argparse.Namespace) -> int:
    from orthoangles.simulation.datasets.foot_job import FootJob
    from orthoangles.simulation.foot import FootOptions

    if options.persons and not options.bones:
        parser.error("--persons: choose among the persons of a bone library; give --bones too")
    if not 0.3 <= options.spacing <= 1:
        parser.error("--spacing: a volume has voxels of 0.3 to 1 mm")
    if options.size is not None and options.size < 256:
        parser.error("--size: a radiograph of a foot needs at least 256 pixels")
    asked = FootOptions(
        bones=str(options.bones) if options.bones else None,
        persons=tuple(options.persons),
        views=tuple(dict.fromkeys(options.views)),
        sizes=_sizes(options.size, FootOptions().sizes),
        spacing=options.spacing,
        distribution=options.distribution,
        angles=dict(options.angle),
        plain=options.plain,
        device=options.device,
    )
    return _simulate(FootJob(asked), options)


def _sizes(longest: int | None, usual: Mapping[str, tuple[int, int]]) -> dict[str, tuple[int, int]]:
    """Rows and columns of each view, in their usual proportion, the longer side of ``longest`` pixels."""
    scale = {view: longest / max(size) if longest else 1.0 for view, size in usual.items()}
    return {view: (round(rows * scale[view]), round(columns * scale[view])) for view, (rows, columns) in usual.items()}


def _simulate(job, options: argparse.Namespace) -> int:
    from orthoangles.simulation.datasets.simulating import DatasetSimulation

    seeds = range(options.seed, options.seed + options.count)
    simulation = DatasetSimulation(options.output, job, seeds, options.split)
    with ProgressBar(len(simulation.pending), "seeds") as bar:
        report = simulation.run(options.workers, bar.advance)
    for seed, reason in report.failed:
        print(f"error: seed {seed}: {reason}", file=sys.stderr)
    print(
        f"{len(report.simulated)} cases simulated into {options.output}, {report.skipped} seeds already there, "
        f"{len(report.failed)} failed"
    )
    return 1 if report.failed else 0
