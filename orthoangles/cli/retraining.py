"""``retrain``: new weights from corrected cases, beside the present ones until they are accepted."""

import argparse
import json
import sys
from pathlib import Path

_DESCRIPTION = """\
Three forms:
  retrain --bundle NAME --dataset CORRECTED... [--old DATASET...] --output DIR
      fine-tune a bundle from its present weights, compare both on persons held out; the bundle stays as it is
  retrain --accept DIR    put the weights of that run into the bundle; the present ones are kept beside them
  retrain --restore NAME  bring the weights before back
Corrected cases make up half of what is learned from, or more where there are more of them; rejected ones are left out.
A quarter of the persons is held out. Ctrl+C keeps a checkpoint; the same command goes on from it. DIR/comparison.md
says how both compare, and whether accepting is recommended.
--json prints one object a line: stage (preparing, training, comparing, done, stopped, failed), fraction of the whole,
message, seconds_left (null where unknown); the last one also has output and recommended.
Exit code: 0 done, 1 failed (with the reason), 2 bad usage, 130 interrupted."""


def add_command(commands) -> None:
    """Add ``retrain``."""
    parser = commands.add_parser(
        "retrain",
        help="fine-tune a bundle's network on corrected cases",
        description=_DESCRIPTION,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    what = parser.add_mutually_exclusive_group(required=True)
    what.add_argument("--bundle", metavar="NAME", help="name or folder of the bundle to retrain")
    what.add_argument("--accept", type=Path, metavar="DIR", help="put the weights of this run into the bundle")
    what.add_argument("--restore", metavar="NAME", help="bring the bundle's weights before back")
    parser.add_argument("--dataset", nargs="+", type=Path, default=[], metavar="DATASET", help="corrected cases")
    parser.add_argument(
        "--old", nargs="+", type=Path, default=[], metavar="DATASET", help="cases the network was trained on before"
    )
    parser.add_argument("--output", type=Path, metavar="DIR", help="folder of this run")
    parser.add_argument("--minutes", type=float, metavar="M", help="length of the training (default: as it needs)")
    parser.add_argument("--config", default="", metavar="FILE", help="one of the bundle's training configs")
    parser.add_argument("--json", action="store_true", help="progress as one JSON object a line")
    parser.add_argument("--force", action="store_true", help="accept weights that are not recommended")
    parser.set_defaults(run=lambda options: _run(parser, options))


def _run(parser: argparse.ArgumentParser, options: argparse.Namespace) -> int:
    if options.bundle:
        _check(parser, options)
        return _retrain_as_json(options) if options.json else _retrain(options)
    if options.dataset or options.old or options.output or options.minutes or options.config:
        parser.error("--accept and --restore take no --dataset, --old, --output, --minutes or --config")
    if options.accept:
        from orthoangles.training.accepting import accept

        bundle, digest = accept(options.accept, options.force)
        print(
            f"{bundle.name} has the new weights {digest[:12]}; 'retrain --restore {bundle.name}' brings back the old."
        )
        return 0
    from orthoangles.bundle_versions import restore
    from orthoangles.predicting import bundle_folder

    bundle = bundle_folder(options.restore)
    print(f"{bundle.name} has the weights {restore(bundle)[:12]} again.")
    return 0


def _check(parser: argparse.ArgumentParser, options: argparse.Namespace) -> None:
    if not options.dataset or not options.output:
        parser.error("--bundle needs --dataset and --output")
    for folder in (*options.dataset, *options.old):
        if not (folder / "dataset.json").is_file():
            parser.error(f"{folder.name} holds no dataset.json; 'import' or an export makes one")
    if len({folder.resolve() for folder in (*options.dataset, *options.old)}) < len(options.dataset + options.old):
        parser.error("one dataset is named twice")
    if options.minutes is not None and options.minutes <= 0:
        parser.error("--minutes: must be above 0")
    if options.force:
        parser.error("--force goes with --accept")


def _retrain(options: argparse.Namespace) -> int:
    from orthoangles.cli.progress import ProgressBar

    with ProgressBar(100, "%") as bar:
        outcome = _outcome(options, lambda report: bar.up_to(report.fraction, f"{report.stage}: {report.message}"))
    print(outcome.verdict)
    print(f"See {options.output / 'comparison.md'}.")
    if outcome.recommended:
        print(f"'retrain --accept {options.output}' puts the new weights in.")
    return 0


def _retrain_as_json(options: argparse.Namespace) -> int:
    from orthoangles.errors import OrthoAnglesError

    last = {"stage": "preparing", "fraction": 0.0}

    def report(stage_report) -> None:
        last.update(stage_report.as_json())
        _line(last)

    try:
        outcome = _outcome(options, report)
    except KeyboardInterrupt:
        _line({**last, "stage": "stopped", "message": "stopped; start it again to go on", "seconds_left": None})
        raise
    except (OrthoAnglesError, OSError) as error:
        _line({**last, "stage": "failed", "message": str(error), "seconds_left": None})
        raise
    end = {"stage": "done", "fraction": 1.0, "message": outcome.verdict, "seconds_left": 0.0}
    _line({**end, "output": str(options.output), "recommended": outcome.recommended})
    return 0


def _outcome(options: argparse.Namespace, report):
    from orthoangles.training.retraining import retrain

    return retrain(
        options.bundle,
        options.dataset,
        options.output,
        old=options.old,
        minutes=options.minutes,
        config=options.config,
        report=report,
    )


def _line(content: dict) -> None:
    print(json.dumps(content), flush=True, file=sys.stdout)
