"""Foot networks side by side on the same simulated feet: accuracy, findings, size, training time and speed.

    python tools/compare_foot_networks.py --dataset test-feet \
        --network "shipped=models/foot_ap,models/foot_lateral" --network "HIH=runs/hih_ap,runs/hih_lateral" \
        --speed "HIH, full size=models/foot_ap/configs/train_hih_full.json" --section foot-networks

``--network NAME=BUNDLE[,BUNDLE]`` is given once per network, each bundle of it for another protocol; the first network
is what the others are tested against. ``--speed NAME=CONFIG`` adds the time and size of a network that was not trained,
from a training config that lies in its bundle. Feet whose person any of the networks saw in training are left out.
Everything runs on the processor, on ``--threads`` cores, in this one run. The tables go to section ``--section`` of
``--results``, which is the only part of that file that changes.
"""

import argparse
import json
import re
import shlex
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from tqdm import tqdm

from orthoangles.annotation.dataset import Case, Dataset
from orthoangles.errors import OrthoAnglesError
from orthoangles.predicting import Backend, bundle_folder
from orthoangles.training import comparison as tables
from orthoangles.training.data import held_out_cases
from orthoangles.training.landmark_cases import LandmarkCase, measured_case, protocol_cases

Chosen = Mapping[str, Sequence[tuple[Dataset, Case]]]


class Named(NamedTuple):
    """A network as asked for: ``configs`` by protocol hold network and input size, ``bundles`` its weights, if any."""

    name: str
    configs: Mapping[str, Path]
    bundles: Mapping[str, Path]


def trained(text: str) -> Named:
    """``NAME=BUNDLE,BUNDLE``; PredictionError where a bundle is not there."""
    name, bundles = _split(text)
    by_protocol = {_metadata(folder)["protocol"]: folder for folder in map(bundle_folder, bundles.split(","))}
    return Named(name, {p: folder / "configs" / "inference.json" for p, folder in by_protocol.items()}, by_protocol)


def untrained(text: str) -> Named:
    """``NAME=CONFIG[,CONFIG]``, each in the configs folder of its bundle."""
    name, configs = _split(text)
    return Named(name, {_metadata(path.parent.parent)["protocol"]: path for path in map(Path, configs.split(","))}, {})


def _split(text: str) -> tuple[str, str]:
    name, equals, rest = text.partition("=")
    if not (name and equals and rest):
        raise argparse.ArgumentTypeError(f"'{text}' is not NAME=PATH")
    return name, rest


def _metadata(folder: Path) -> dict:
    return json.loads((folder / "configs" / "metadata.json").read_text(encoding="utf-8"))["orthoangles"]


def unseen_cases(datasets: Sequence[Path], networks: Sequence[Named]) -> tuple[dict, int]:
    """Cases by protocol that no network saw in training, and how many were left out because one did."""
    chosen, seen = {}, 0
    for protocol in networks[0].bundles:
        records = [_metadata(network.bundles[protocol]).get("training") for network in networks]
        cases = protocol_cases(datasets, protocol)
        fresh = _unseen_ids({store for store, _ in cases}, records, protocol)
        chosen[protocol] = [(store, case) for store, case in cases if case.id in fresh[store]]
        seen += len(cases) - len(chosen[protocol])
    return chosen, seen


def _unseen_ids(stores: set[Dataset], records: Sequence[dict | None], protocol: str) -> dict[Dataset, set[str]]:
    return {
        store: set.intersection(*({case.id for case in held_out_cases(store, record, protocol)} for record in records))
        for store in stores
    }


def compare(networks: Sequence[Named], speed_only: Sequence[Named], chosen: Chosen, threads: int) -> str:
    """All tables, measured now."""
    everyone = [*networks, *speed_only]
    keys = [(network.name, protocol) for network in everyone for protocol in network.configs]
    made = [tables.timed_network(path) for network in everyone for path in network.configs.values()]
    sizes = dict(zip(keys, [tables.million_parameters(module) for module, _ in made], strict=True))
    times = dict(zip(keys, tables.forward_milliseconds(made, threads), strict=True))
    del made
    measured = {protocol: side_by_side(networks, protocol, cases) for protocol, cases in chosen.items()}
    compared = [
        tables.ComparedNetwork(
            network.name,
            parameters={protocol: sizes[network.name, protocol] for protocol in network.configs},
            forward_ms={protocol: times[network.name, protocol] for protocol in network.configs},
            minutes={protocol: tables.training_minutes(folder) for protocol, folder in network.bundles.items()},
            cases={protocol: measured[protocol][network.name] for protocol in network.bundles},
        )
        for network in everyone
    ]
    return tables.comparison(compared, list(chosen))


def side_by_side(
    networks: Sequence[Named], protocol: str, cases: Sequence[tuple[Dataset, Case]]
) -> dict[str, list[LandmarkCase]]:
    """The cases through each network, which take turns at every image: other load then falls on all alike."""
    backends = {network.name: Backend(network.bundles[protocol], "cpu") for network in networks}
    found: dict[str, list[LandmarkCase]] = {name: [] for name in backends}
    for store, case in tqdm(cases, desc=protocol, unit="case"):
        for name, backend in backends.items():
            found[name].append(measured_case(backend, store, case))
    return found


def shown_command(arguments: Sequence[str]) -> str:
    """The command as others can give it: of a folder outside the repository only its name."""
    names = [re.sub(r"(?<![^=,])/[^,]*", lambda path: Path(path[0]).name, text) for text in arguments]
    return shlex.join(["python", "tools/compare_foot_networks.py", *names])


def main(arguments: Sequence[str]) -> int:
    """Measure, print, and write the section."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--network", action="append", required=True, metavar="NAME=BUNDLE[,BUNDLE]")
    parser.add_argument("--speed", action="append", default=[], metavar="NAME=CONFIG")
    parser.add_argument("--dataset", nargs="+", required=True, type=Path)
    parser.add_argument("--threads", type=int, default=2, help="cores to use")
    parser.add_argument("--section", default="foot-networks", help="name of the section in --results")
    parser.add_argument("--results", type=Path, default=Path("docs/RESULTS.md"))
    asked = parser.parse_args(arguments)
    try:
        networks, speed_only = [trained(text) for text in asked.network], [untrained(text) for text in asked.speed]
        if len({network.name for network in (*networks, *speed_only)}) < len(networks) + len(speed_only):
            parser.error("--network, --speed: give each network a name of its own")
        if len({frozenset(network.bundles) for network in networks}) > 1:
            parser.error("--network: every network needs bundles of the same protocols")
        chosen, seen = unseen_cases(asked.dataset, networks)
        if not all(chosen.values()):
            parser.error("--dataset: holds no foot that all networks did not see in training")
    except (OrthoAnglesError, argparse.ArgumentTypeError) as error:
        parser.error(str(error))
    _use_threads(asked.threads)
    body = compare(networks, speed_only, chosen, asked.threads)
    note = f"Times on {asked.threads} cores, one run. Cases left out because a network saw the person: {seen}."
    tables.write_section(asked.results, asked.section, f"`{shown_command(arguments)}`\n\n{note}\n\n{body}")
    print(body)
    return 0


def _use_threads(count: int) -> None:
    import torch

    torch.set_num_threads(count)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
