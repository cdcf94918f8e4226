"""Several landmark networks side by side on the same cases, as S1's Tables 2 to 4 and Figure 6 put them."""

import json
import statistics
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from orthoangles.atomic import write_bytes
from orthoangles.training import point_metrics as metrics
from orthoangles.training.landmark_cases import LandmarkCase, angle_pairs, stacked
from orthoangles.training.landmark_evaluation import MICRO, finding_counts
from orthoangles.training.landmark_tables import RATES, between, number, percent, table


@dataclass(frozen=True, eq=False)
class ComparedNetwork:
    """One network: its cases by protocol (the same ones in the same order for every network), and its cost.

    ``parameters`` in millions, ``minutes`` of training (None where not recorded), ``forward_ms`` the time of its
    network alone for one image, by protocol. A network without cases is compared by its cost only.
    """

    name: str
    parameters: Mapping[str, float]
    forward_ms: Mapping[str, float]
    minutes: Mapping[str, float | None] = field(default_factory=dict)
    cases: Mapping[str, Sequence[LandmarkCase]] = field(default_factory=dict)


def comparison(networks: Sequence[ComparedNetwork], protocols: Sequence[str]) -> str:
    """All tables as Markdown. Raises ValueError where two networks were not measured on the same cases."""
    measured = [network for network in networks if network.cases]
    for protocol in protocols:
        _check_same_cases(measured, protocol)
    parts = []
    for protocol in protocols:
        cases = measured[0].cases[protocol]
        parts += [
            f"**{protocol}**: {len(cases)} radiographs of {len({case.group for case in cases})} person(s); 95 % "
            f"intervals draw each {metrics.resampling_groups([case.group for case in cases])[1]} anew; p against "
            f"{measured[0].name}, paired t-test / Wilcoxon over cases.",
            landmark_table(measured, protocol),
            angle_table(measured, protocol),
        ]
    return "\n\n".join([*parts, finding_table(measured, protocols), cost_table(networks, protocols)]) + "\n"


def _check_same_cases(networks: Sequence[ComparedNetwork], protocol: str) -> None:
    ids = [case.id for case in networks[0].cases[protocol]]
    for other in networks[1:]:
        if [case.id for case in other.cases.get(protocol, ())] != ids:
            raise ValueError(f"{other.name} and {networks[0].name} were measured on different cases of {protocol}")


# --- accuracy
def landmark_table(networks: Sequence[ComparedNetwork], protocol: str) -> str:
    """NME, mean radial errors, detection rates, and the paired tests of each case's mean pixel error."""
    first = _mean_errors(networks[0].cases[protocol])
    rows = []
    for network in networks:
        cases = network.cases[protocol]
        errors = stacked(cases)
        means = [metrics.mean_found(errors[unit]) for unit in ("nme", "px", "mm")]
        rows.append(
            [
                network.name,
                f"{number(1000 * means[0])} ({between(_nme_interval(cases, errors['nme']), factor=1000)})",
                number(means[1]),
                number(means[2]),
                *(percent(metrics.share_within(errors["mm"], limit)) for limit in metrics.SDR_LIMITS),
                f"{int(np.isinf(errors['px']).sum())}",
                _p_values(first, _mean_errors(cases)) if network is not networks[0] else "-",
            ]
        )
    rates = [f"SDR < {limit:g} mm" for limit in metrics.SDR_LIMITS]
    return table(["network", "NME, 1e-3 (95 %)", "error, px", "mm", *rates, "not found", "p"], rows)


def _mean_errors(cases: Sequence[LandmarkCase]) -> np.ndarray:
    return np.array([case.mean_error for case in cases])


def _nme_interval(cases: Sequence[LandmarkCase], errors: np.ndarray) -> tuple[float, float]:
    groups, _ = metrics.resampling_groups([case.group for case in cases])
    return metrics.resampled_interval(lambda rows: metrics.mean_found(errors[rows]), groups)


def _p_values(first: np.ndarray, second: np.ndarray) -> str:
    tests = metrics.paired_tests(first, second)
    return " / ".join(_p_value(tests[key]) for key in ("t_p", "wilcoxon_p"))


def _p_value(value: float) -> str:
    return "< 0.001" if value < 0.001 else number(value, 3)


def angle_table(networks: Sequence[ComparedNetwork], protocol: str) -> str:
    """Absolute error of every angle with its SD, shares within 3 and 5 degrees, and the paired tests."""
    rows = []
    for name in networks[0].cases[protocol][0].truth:
        first = _differences(networks[0], protocol, name)
        for network in networks:
            differences = _differences(network, protocol, name)
            figures = metrics.angle_figures(differences)
            rows.append(
                [
                    name,
                    network.name,
                    f"{number(figures['mae'])} ± {number(figures['mae_sd'])}",
                    *(percent(figures[f"within_{limit:g}"]) for limit in metrics.ANGLE_LIMITS),
                    number(figures["bias"]),
                    f"{figures['not_measured']}",
                    _p_values(np.abs(first), np.abs(differences)) if network is not networks[0] else "-",
                ]
            )
    head = ["angle", "network", "absolute error ± SD, degrees", "within 3", "within 5", "bias", "not measured", "p"]
    return table(head, rows)


def _differences(network: ComparedNetwork, protocol: str, angle: str) -> np.ndarray:
    return metrics.angle_differences(*angle_pairs(network.cases[protocol], angle))


def finding_table(networks: Sequence[ComparedNetwork], protocols: Sequence[str]) -> str:
    """Accuracy, sensitivity, specificity and predictive values of every finding, and of all pooled."""
    rows = []
    counts = [_counts(network, protocols) for network in networks]
    for name in counts[0]:
        for network, outcomes in zip(networks, counts, strict=True):
            of = outcomes[name]
            rates = of.rates()
            present = f"{of.true_positive + of.false_negative} of {of.total}"
            rows.append([name, network.name, *(percent(rates[rate]) for rate in RATES), present])
    return table(["finding", "network", "accuracy", "sensitivity", "specificity", "PPV", "NPV", "present"], rows)


def _counts(network: ComparedNetwork, protocols: Sequence[str]) -> dict[str, metrics.Counts]:
    """Outcomes by finding over all protocols (named with its protocol where two share a name), and all pooled."""
    counts: dict[str, metrics.Counts] = {}
    for protocol in protocols:
        for name, outcomes in finding_counts(network.cases[protocol]).items():
            counts[f"{name} ({protocol})" if name in counts else name] = outcomes
    return counts | {MICRO: sum(counts.values(), metrics.Counts())}


# --- cost
def cost_table(networks: Sequence[ComparedNetwork], protocols: Sequence[str]) -> str:
    """Parameters, training time, time of the network alone and of the whole prediction."""
    rows = []
    for network in networks:
        for protocol in protocols:
            if protocol in network.parameters:
                minutes = network.minutes.get(protocol)
                whole = [1000 * case.seconds for case in network.cases.get(protocol, ())]
                rows.append(
                    [
                        network.name,
                        protocol,
                        number(network.parameters[protocol]),
                        "-" if minutes is None else number(minutes, 0),
                        number(network.forward_ms[protocol], 0),
                        number(statistics.median(whole), 0) if whole else "-",
                    ]
                )
    head = ["network", "protocol", "parameters, M", "training, min", "network, ms", "whole prediction, ms"]
    return table(head, rows)


def timed_network(config: Path):
    """The network of an inference or training config, in eval mode with the weights it is made with, and its input.

    Returns (network, input tensor (1, 1, rows, columns)). ``config`` holds ``network_def`` and ``size``.
    """
    import torch
    from monai.bundle import ConfigParser

    parser = ConfigParser()
    parser.read_config(str(config))
    network = parser.get_parsed_content("network_def").eval().to(memory_format=torch.channels_last)
    image = torch.rand((1, 1, *parser["size"])) - 0.5
    return network, image.to(memory_format=torch.channels_last)


def million_parameters(network) -> float:
    """Parameters of a torch module, in millions."""
    return sum(parameter.numel() for parameter in network.parameters()) / 1e6


def forward_milliseconds(networks: Sequence, threads: int = 2, repeats: int = 9) -> list[float]:
    """Median time of each (network, input) of :func:`timed_network` on ``threads`` cores, warm, in one run.

    The networks take turns, so that whatever else the machine does falls on all alike. In the precision in which the
    backend runs them here.
    """
    import torch

    from orthoangles.predicting import fast_bfloat16

    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    taken: list[list[float]] = [[] for _ in networks]
    try:
        with torch.inference_mode(), torch.autocast("cpu", torch.bfloat16, enabled=fast_bfloat16()):
            for _ in range(repeats + 1):
                for times, (network, image) in zip(taken, networks, strict=True):
                    started = time.perf_counter()
                    network(image)
                    times.append(1000 * (time.perf_counter() - started))
    finally:
        torch.set_num_threads(before)
    return [statistics.median(times[1:]) for times in taken]


def training_minutes(folder: Path) -> float | None:
    """How long a bundle was trained, from the record in its metadata; None where it does not say."""
    metadata = json.loads((folder / "configs" / "metadata.json").read_text(encoding="utf-8"))
    seconds = (metadata["orthoangles"].get("training") or {}).get("seconds")
    return None if seconds is None else seconds / 60


# --- the page of results
def write_section(page: Path, name: str, body: str) -> None:
    """Puts ``body`` between the markers of section ``name`` in a Markdown file; at its end where it has none yet.

    Everything outside the markers stays as it is. The file is made where there is none.
    """
    begin, end = f"<!-- begin {name} -->", f"<!-- end {name} -->"
    text = page.read_text(encoding="utf-8") if page.exists() else "# Results\n"
    if begin not in text:
        text = f"{text.rstrip()}\n\n{begin}\n{end}\n"
    before, rest = text.split(begin, 1)
    if end not in rest:
        raise ValueError(f"{page.name}: '{begin}' has no '{end}' after it")
    write_bytes(page, f"{before}{begin}\n{body.strip()}\n{end}{rest.split(end, 1)[1]}".encode())
