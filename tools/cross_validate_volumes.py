"""Cross-validation of ``foot_wbct`` over persons, as S2 does it over patients: one fold for each person.

    python tools/cross_validate_volumes.py train --persons A B C ... --dataset D [D ...] --output RUNS --minutes 6 18
    python tools/cross_validate_volumes.py table --persons A B C ... --dataset TEST [TEST ...] --output RUNS

``train`` trains the coarse and then the fine network of each fold on every case of ``--dataset`` in which no bone of
the fold's person stands; ``--only`` picks folds, so that several processes can share the work, and a fold that was
interrupted goes on. ``--init`` are weights to start from: they must not have seen any of the persons.
``table`` measures each fold on the cases made of its person's bones alone, joins them, fits the spread of each landmark
to the others' folds, and writes summary.md, summary.json and cases.csv; ``--results`` puts the tables into a file,
between the marks of the section ``wbct-folds``, and ``--write`` the spread, fitted to all folds, into a bundle.
"""

import argparse
import json
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from monai.bundle import ConfigParser

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from orthoangles.annotation.dataset import Dataset
from orthoangles.atomic import write_json
from orthoangles.measuring import measure
from orthoangles.networks.volumes.networks import PARTS
from orthoangles.predicting import bundle_folder, bundle_metadata
from orthoangles.protocols import Protocol, load_protocol
from orthoangles.training.comparison import write_section
from orthoangles.training.running import TrainingRun
from orthoangles.training.volume_cases import VolumeCase, packed_cases
from orthoangles.training.volume_data import volume_folder
from orthoangles.training.volume_evaluation import as_markdown, summarise, write_summary
from orthoangles.training.volume_packing import PackedVolume, joined, packed_volumes

BUNDLE = "foot_wbct"


def train_fold(person: str, datasets: Sequence[Path], output: Path, minutes: Sequence[float], init: Path | None):
    """Coarse, then fine, without the person; the bundle lies in ``output``/PERSON-fine."""
    for stage, limit in zip(PARTS, minutes, strict=True):
        config = "train_coarse.json" if stage == "coarse" else "train.json"
        run = TrainingRun(BUNDLE, datasets, output / f"{person}-{stage}", config, init)
        run.parser["data"]["held_out_groups"] = [person]
        run(limit)
        init = output / f"{person}-{stage}" / "models" / "model.pt"


def measured_fold(person: str, volumes: Sequence[PackedVolume], folder: Path, protocol: Protocol):
    """The fold's network on feet made of its person's bones alone; spreads are the raw width of its maps.

    The search is set up as in the bundle that ships.
    """
    parser = ConfigParser()
    parser.read_config(str(bundle_folder(BUNDLE) / "configs" / "inference.json"))
    network = parser.get_parsed_content("network_def").eval()
    network.load_state_dict(torch.load(folder / "models" / "model.pt", map_location="cpu", weights_only=True))
    finder = parser.get_parsed_content("postprocessing")
    finder.scale, finder.floor = np.asarray(1.0), np.asarray(0.0)
    return packed_cases(finder, network, [volume for volume in volumes if volume.group == person], protocol)


def fitted_spread(cases: Sequence[VolumeCase]) -> tuple[np.ndarray, np.ndarray]:
    """``scale`` and ``floor`` (k,) of greatest likelihood for each landmark, errors being normal in each direction."""
    from scipy.optimize import minimize

    scale, floor = [], []
    for k in range(len(cases[0].visible)):
        squared, excess = (
            np.array(values)
            for values in zip(
                *(
                    ((case.vectors[k] ** 2).sum(), case.spread[k])
                    for case in cases
                    if np.isfinite(case.vectors[k]).all()
                ),
                strict=True,
            )
        )

        def cost(logarithms: np.ndarray, squared=squared, excess=excess) -> float:
            variance = np.exp(2 * logarithms[0]) * excess**2 + np.exp(2 * logarithms[1])
            return float(np.mean(1.5 * np.log(variance) + squared / (2 * variance)))

        found = np.exp(minimize(cost, np.log([0.7, 0.5]), method="Nelder-Mead").x)
        scale.append(round(float(min(found[0], 5.0)), 3))
        floor.append(round(float(found[1]), 3))
    return np.array(scale), np.array(floor)


def with_spread(case: VolumeCase, scale: np.ndarray, floor: np.ndarray, protocol: Protocol) -> VolumeCase:
    """The case with a stated spread, and its angles' intervals from it."""
    spread = np.hypot(scale * case.spread, floor)
    result = measure(protocol, case.points, spread=spread)
    deviations = {
        name: (result.by_id(name).interval[1] - result.by_id(name).value) / 1.96
        for name in case.predicted
        if result.by_id(name).interval is not None
    }
    return replace(case, spread=spread, deviations=deviations)


def make_table(
    persons: Sequence[str], datasets: Sequence[Path], output: Path, results: Path | None, write: Path | None
) -> None:
    """Out-of-fold figures of all folds that are there."""
    protocol = load_protocol(bundle_metadata(BUNDLE)["orthoangles"]["protocol"])
    stores = [Dataset(path) for path in datasets]
    volumes = joined([packed_volumes(store, protocol, volume_folder(output / "fold", store)) for store in stores])
    folds = {person: measured_fold(person, volumes, output / f"{person}-fine", protocol) for person in persons}
    cases = []
    for person, own in folds.items():
        others = [case for name, fold in folds.items() if name != person for case in fold] or own
        cases += [with_spread(case, *fitted_spread(others), protocol) for case in own]
    summary = summarise(cases, protocol)
    write_summary(summary, cases, protocol, output / "table")
    print(as_markdown(summary))
    if results:
        write_section(results, "wbct-folds", as_markdown(summary))
    if write:
        path = write / "configs" / "inference.json"
        config = json.loads(path.read_text(encoding="utf-8"))
        scale, floor = fitted_spread([case for fold in folds.values() for case in fold])
        config["postprocessing"].update(scale=scale.tolist(), floor=floor.tolist())
        write_json(path, config)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("command", choices=("train", "table"))
    parser.add_argument("--persons", required=True, nargs="+")
    parser.add_argument("--only", nargs="+", help="folds to train (default: all)")
    parser.add_argument("--dataset", required=True, nargs="+", type=Path)
    parser.add_argument("--output", required=True, type=Path)
    parser.add_argument("--minutes", nargs=2, type=float, default=(6.0, 18.0), metavar=("COARSE", "FINE"))
    parser.add_argument("--init", type=Path)
    parser.add_argument("--results", type=Path, metavar="FILE")
    parser.add_argument("--write", type=Path, metavar="BUNDLE")
    options = parser.parse_args()
    if options.command == "table":
        make_table(options.persons, options.dataset, options.output, options.results, options.write)
        return 0
    for person in options.only or options.persons:
        train_fold(person, options.dataset, options.output, options.minutes, options.init)
    return 0


if __name__ == "__main__":
    sys.exit(main())
