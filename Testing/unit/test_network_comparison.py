"""Networks side by side on the same cases, and real radiographs: tables, sections, pooled copies."""

import csv
import dataclasses
import importlib.util
import json
import re
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from support.labelled_feet import MEARY, PROTOCOL, StandIn, foot, labelled_feet, measured

from orthoangles.errors import PredictionError
from orthoangles.measuring import measure
from orthoangles.training import comparison as tables

pytestmark = pytest.mark.unit

TOOLS = Path(__file__).resolve().parents[2] / "tools"


@pytest.fixture(scope="module")
def feet(tmp_path_factory):
    return labelled_feet(tmp_path_factory.mktemp("feet"))


def tool(name):
    """A script of tools/ as a module."""
    spec = importlib.util.spec_from_file_location(f"tools_{name}", TOOLS / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


def compared(name, cases):
    return tables.ComparedNetwork(
        name, {PROTOCOL.id: 1.0}, {PROTOCOL.id: 10.0}, {PROTOCOL.id: 90.0}, {PROTOCOL.id: cases}
    )


def row(text, *cells):
    """Cells of the only table row that starts with ``cells``."""
    (found,) = re.findall("^" + re.escape("| " + " | ".join(cells)) + r" \| (.*) \|$", text, re.MULTILINE)
    return found.split(" | ")


def test_networks_stand_side_by_side_with_tests_against_the_first(feet):
    def worse(name, points):
        number = 1 + int(name[-1])
        points[:, 1] += np.where(np.isin(PROTOCOL.landmark_ids, ["L1", "L2"]), -1.0, 1.0) * number
        return points

    exact, poor = measured(feet), measured(feet, worse)
    only_time = tables.ComparedNetwork("large", {PROTOCOL.id: 28.1}, {PROTOCOL.id: 900.0})
    text = tables.comparison([compared("ours", exact), compared("theirs", poor), only_time], [PROTOCOL.id])
    landmarks, cost = text[: text.index("| angle |")], text[text.index("| network | protocol |") :]
    assert row(landmarks, "ours")[0].startswith("0.00")
    cells = row(landmarks, "theirs")
    # 1 to 6 pixels of 0.25 mm on 11, 11, 10, 11, 11 and 11 landmarks.
    assert cells[3] == f"{100 * 32 / 65:.1f} %"
    tests = [float(value.strip("< ")) for value in cells[-1].split(" / ")]
    assert max(tests) < 0.05
    differences = np.array([case.predicted["meary-angle"] - case.truth["meary-angle"] for case in poor])
    assert row(text, "meary-angle", "theirs")[0].startswith(f"{np.abs(differences).mean():.2f} ±")
    assert row(text, "micro-average", "ours")[0] == "100.0 %"
    assert row(cost, "large", PROTOCOL.id) == ["28.10", "-", "900", "-"]
    assert row(cost, "theirs", PROTOCOL.id) == ["1.00", "90", "10", "20"]


def test_networks_measured_on_different_cases_are_not_compared(feet):
    cases = measured(feet)
    with pytest.raises(ValueError, match="different cases"):
        tables.comparison([compared("a", cases), compared("b", cases[:-1])], [PROTOCOL.id])


def test_findings_are_pooled_over_the_views(feet):
    cases = measured(feet)
    other = [dataclasses.replace(case, found={"flat": False}, true_findings={"flat": True}) for case in cases]
    both = tables.ComparedNetwork("both", {}, {}, {}, {"lateral": cases, "ap": other})
    text = tables.finding_table([both], ["lateral", "ap"])
    assert row(text, "flat", "both")[0] == "0.0 %"
    # 12 right answers of the lateral view, six misses of the other.
    assert row(text, "micro-average", "both")[0] == f"{100 * 12 / 18:.1f} %"


def network_config(path, width):
    config = {
        "size": [64, 32],
        "network_def": {"_target_": "torch.nn.Conv2d", "in_channels": 1, "out_channels": width, "kernel_size": 9},
    }
    path.write_text(json.dumps(config))
    return path


def test_time_and_size_are_those_of_the_network_in_the_config(tmp_path):
    small = tables.timed_network(network_config(tmp_path / "small.json", 2))
    large = tables.timed_network(network_config(tmp_path / "large.json", 2000))
    assert small[1].shape == (1, 1, 64, 32)
    assert tables.million_parameters(large[0]) == pytest.approx((81 * 2000 + 2000) / 1e6)
    before = torch.get_num_threads()
    times = tables.forward_milliseconds([small, large], threads=1, repeats=3)
    assert times[1] > 3 * times[0] > 0
    assert torch.get_num_threads() == before


def test_a_section_is_replaced_and_everything_around_it_stays(tmp_path):
    page = tmp_path / "RESULTS.md"
    tables.write_section(page, "one", "first")
    tables.write_section(page, "two", "second")
    page.write_text(page.read_text().replace("<!-- begin two -->", "By hand.\n\n<!-- begin two -->"))
    tables.write_section(page, "one", "changed\n")
    assert page.read_text() == (
        "# Results\n\n<!-- begin one -->\nchanged\n<!-- end one -->\n\n"
        "By hand.\n\n<!-- begin two -->\nsecond\n<!-- end two -->\n"
    )
    page.write_text("<!-- begin one -->\n")
    with pytest.raises(ValueError, match="end one"):
        tables.write_section(page, "one", "lost")
    assert page.read_text() == "<!-- begin one -->\n"


def bundle(folder, groups, seconds):
    (folder / "configs").mkdir(parents=True)
    training = {"folds": 1, "groups": groups, "seconds": seconds}
    metadata = {"orthoangles": {"protocol": PROTOCOL.id, "training": training}}
    (folder / "configs" / "metadata.json").write_text(json.dumps(metadata))
    return folder


def test_feet_of_a_person_whom_any_network_saw_are_left_out(feet, tmp_path):
    script = tool("compare_foot_networks")
    first = bundle(tmp_path / "a", ["person-1"], 90)
    second = bundle(tmp_path / "b", ["person-3", "someone"], 60)
    networks = [script.trained(f"a={first}"), script.trained(f"b={second}")]
    chosen, seen = script.unseen_cases([feet.folder], networks)
    assert [case.id for _, case in chosen[PROTOCOL.id]] == ["foot-2", "foot-4", "foot-5"]
    assert seen == 3
    assert tables.training_minutes(first) == 1.5


def test_the_command_names_no_folder_of_this_machine():
    script = tool("compare_foot_networks")
    shown = script.shown_command(["--network", "HIH=/srv/runs/hih,runs/x", "--dataset", "/srv/data/feet"])
    assert shown == "python tools/compare_foot_networks.py --network HIH=hih,runs/x --dataset feet"


# --- real radiographs
def entry(source, flat, patient=None, other=None):
    return {
        "image": f"images/{source}.png",
        "source": source,
        "patient": patient or source,
        "pes_planus": int(flat),
        "not_pes_planus": int(not flat if other is None else other),
    }


def test_copies_are_pooled_by_their_median_and_sources_of_both_labels_left_out():
    script = tool("real_laterals")
    entries = [
        entry("a", True, "p"),
        entry("a", True, "p"),
        entry("a", True, "p"),
        entry("b", False),
        entry("c", True, other=True),
    ]
    angles = [(10.0, 12.0), (14.0, 16.0), (90.0, float("nan")), (1.0, 25.0), (5.0, 5.0)]
    sources, unclear = script.pooled(entries, angles)
    assert unclear == 1
    assert sources == [script.Source("a", "p", True, 3, 14.0, 14.0), script.Source("b", "b", False, 1, 1.0, 25.0)]
    assert script.repeatability(entries[:2], angles[:2]) == pytest.approx({"meary": 8**0.5, "pitch": 8**0.5})


def test_flat_feet_are_told_by_a_high_meary_and_a_low_pitch():
    script = tool("real_laterals")
    rng = np.random.default_rng(6)
    sources = [
        script.Source(f"{k}", f"{k // 2}", k % 2 == 0, 1, rng.normal(12 if k % 2 == 0 else 0, 4), rng.normal(20, 4))
        for k in range(100)
    ]
    figures = script.separation(sources)
    assert figures["Meary"]["auc"] > 0.95
    assert abs(figures["- pitch"]["auc"] - 0.5) < 0.15
    assert figures["Meary"]["interval"][0] < figures["Meary"]["auc"] < figures["Meary"]["interval"][1] <= 1
    assert figures["Meary"]["median_flat"] > figures["Meary"]["median_other"] + 8
    lost = [source._replace(meary=float("nan")) for source in sources[:20]]
    assert script.separation(lost)["Meary"]["auc"] == 0.5
    assert script.separation(lost)["Meary"]["missing"] == 20


def test_labelled_images_give_tables_and_sheets(feet, tmp_path):
    script = tool("real_laterals")
    data = tmp_path / "real"
    (data / "images").mkdir(parents=True)
    labels = []
    for k, case in enumerate(feet.cases):
        (data / "images" / f"{case.id}.png").write_bytes(feet.image_path(case).read_bytes())
        labels.append(entry(case.id, MEARY[k] > 4))
    (data / "labels.json").write_text(json.dumps(labels))

    class ByFileName(StandIn):
        def predict(self, image):
            if image.name == "foot-3.png":
                raise PredictionError("no foot")
            return super().predict(dataclasses.replace(image, name=image.name[: -len(".png")]))

    summary = script.separate(ByFileName(feet), data, tmp_path / "out")
    assert summary["separation"]["Meary"]["auc"] == 1.0
    assert summary["nothing"] == 1
    assert summary["separation"]["Meary"]["missing"] == 1
    assert (tmp_path / "out" / "sheet.png").stat().st_size > 20000
    assert "6 images" in script.as_markdown(summary)
    with (tmp_path / "out" / "images.csv").open(encoding="utf-8") as stream:
        rows = {row["image"]: row for row in csv.DictReader(stream)}
    expected = measure(PROTOCOL, foot(12.0)).by_id("meary-angle").value
    assert float(rows["foot-1.png"]["Meary"]) == pytest.approx(expected, abs=0.01)
    assert rows["foot-3.png"]["warnings"] == "no foot"
