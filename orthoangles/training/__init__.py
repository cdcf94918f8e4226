"""Training and evaluation of the bundles on datasets of reviewed cases. torch loads when a function is called."""

from collections.abc import Sequence
from pathlib import Path


def run_training(
    bundle: str | Path,
    datasets: Sequence[Path],
    *,
    init: Path | None = None,
    minutes: float | None = None,
    output: Path | None = None,
    config: str = "train.json",
) -> int:
    """Trains ``bundle`` on ``datasets`` into the bundle folder ``output``; returns 0.

    ``minutes`` stop it cleanly before its schedule ends; started again with the same ``output`` it goes on from its
    checkpoint. ``init`` are weights to start from, and ``config`` names one of the bundle's training configs. The
    bundle's own weights stay as they are.
    """
    from orthoangles.training.running import TrainingRun

    folder = Path(output or Path("runs") / Path(bundle).name)
    complete = TrainingRun(bundle, [Path(dataset) for dataset in datasets], folder, config, init)(minutes)
    print(f"Training is {'complete' if complete else 'stopped; start it again to go on'}. The bundle lies in {folder}.")
    return 0


def run_evaluation(bundle: str | Path, datasets: Sequence[Path], output: Path) -> int:
    """Measures ``bundle`` on ``datasets``: tables, per-case figures and plots under ``output``; returns 0.

    Only cases count that it was not trained on: of its own dataset those of the fold that was held out, of others those
    of persons and groups that it has not seen. DatasetError where none is left.
    """
    from orthoangles.training.held_out import evaluate_bundle

    evaluate_bundle(bundle, [Path(dataset) for dataset in datasets], Path(output))
    return 0
