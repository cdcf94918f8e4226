"""``train`` and ``evaluate``: a bundle's network on a dataset."""

import argparse
from pathlib import Path


def add_commands(commands) -> None:
    """Add ``train`` and ``evaluate``."""
    parser = commands.add_parser(
        "train",
        help="train a bundle's network on a dataset",
        description="Train a bundle's network. Stops cleanly after --minutes, keeps a checkpoint, and goes on from it "
        "when started again.",
    )
    _add_common(parser)
    parser.add_argument("--init", type=Path, metavar="WEIGHTS", help="weights to start from")
    parser.add_argument(
        "--minutes", type=float, metavar="M", help="stop after this time (default: the recipe's length)"
    )
    parser.add_argument("--output", type=Path, metavar="DIR", help="folder for checkpoints and weights")
    parser.add_argument("--config", default="train.json", metavar="FILE", help="one of the bundle's training configs")
    parser.set_defaults(run=lambda options: _train(parser, options))

    parser = commands.add_parser(
        "evaluate",
        help="evaluate a bundle's network on a dataset",
        description="Run a bundle's network over a dataset and write tables of its errors.",
    )
    _add_common(parser)
    parser.add_argument("--output", required=True, type=Path, metavar="DIR", help="folder for the tables")
    parser.set_defaults(run=lambda options: _evaluate(parser, options))


def _add_common(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--bundle", required=True, metavar="NAME", help="e.g. spine_ap_cobb")
    parser.add_argument(
        "--dataset", required=True, nargs="+", type=Path, metavar="DATASET", help="folders with a dataset.json"
    )


def _check(parser: argparse.ArgumentParser, options: argparse.Namespace) -> None:
    for folder in options.dataset:
        if not (folder / "dataset.json").is_file():
            parser.error(f"--dataset: {folder.name} holds no dataset.json; 'import' or 'simulate' makes one")


def _train(parser: argparse.ArgumentParser, options: argparse.Namespace) -> int:
    from orthoangles.training import run_training

    _check(parser, options)
    if options.init and not options.init.is_file():
        parser.error(f"--init: {options.init.name} does not exist")
    if options.minutes is not None and options.minutes <= 0:
        parser.error("--minutes: must be above 0")
    return run_training(
        options.bundle,
        options.dataset,
        init=options.init,
        minutes=options.minutes,
        output=options.output,
        config=options.config,
    )


def _evaluate(parser: argparse.ArgumentParser, options: argparse.Namespace) -> int:
    from orthoangles.training import run_evaluation

    _check(parser, options)
    return run_evaluation(options.bundle, options.dataset, options.output)
