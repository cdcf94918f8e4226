"""The command line: ``python -m orthoangles measure | import | agreement | train | retrain | ...``.

Exit codes: 0 all done, 1 something failed (named with its reason, the rest done), 2 bad usage, 130 interrupted.
"""

import argparse
import sys
from collections.abc import Sequence

import orthoangles
from orthoangles.errors import OrthoAnglesError


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code."""
    parser = make_parser()
    options = parser.parse_args(arguments)
    try:
        return options.run(options)
    except OrthoAnglesError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    except OSError as error:
        print(f"error: {error.strerror or error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("interrupted; what was done so far is kept", file=sys.stderr)
        return 130


def make_parser() -> argparse.ArgumentParser:
    """The parser with all commands."""
    from orthoangles.cli import agreement, datasets, measuring, networks, retraining, simulating

    parser = argparse.ArgumentParser(
        prog="python -m orthoangles",
        description="Skeletal alignment angles from landmarks on radiographs. For research use; not a medical device.",
    )
    parser.add_argument("--version", action="version", version=f"orthoangles {orthoangles.__version__}")
    commands = parser.add_subparsers(title="commands", required=True, metavar="COMMAND")
    measuring.add_command(commands)
    datasets.add_command(commands)
    agreement.add_command(commands)
    simulating.add_command(commands)
    networks.add_commands(commands)
    retraining.add_command(commands)
    return parser
