"""The files of an agreement: the same figures everywhere, legible, and whole whatever readers are called."""

import csv
import json
import math
from dataclasses import replace
from pathlib import Path
from xml.etree import ElementTree

import matplotlib.image
import numpy as np
import pytest
from support.readers import jitter, proposal, read_case, spine

from orthoangles.annotation.agreement import find_agreement
from orthoangles.annotation.agreement.plots import plot_agreement
from orthoangles.annotation.agreement.report import write_report

pytestmark = pytest.mark.unit

SVG = "{http://www.w3.org/2000/svg}"
STRANGE = "Kim | $x_1$ <&> é\n2"


@pytest.fixture(scope="module")
def agreement(tmp_path_factory):
    """Two readers and the model; half the images have a spacing; one proposal is far off; one image lacks a reader."""
    folder = tmp_path_factory.mktemp("readers")
    for number in range(7):
        image, truth = spine(number, 0.5 if number % 2 else None)
        proposed = jitter(truth, 0.6, 900 + number)
        if number == 4:
            proposed[8:12, 1] += np.array([0.0, 9.0, 0.0, 9.0])
        read_case(folder / "lee", image, jitter(truth, 0.4, number), "Lee", prediction=proposal(proposed))
        if number:
            read_case(folder / "kim", image, jitter(truth, 0.4, 100 + number), STRANGE)
    found = find_agreement([folder / "lee", folder / "kim"], model=True, outliers=4)
    # Three pages say as much as all ten.
    return replace(found, angles=found.angles[:3])


@pytest.fixture(scope="module")
def output(agreement, tmp_path_factory):
    folder = tmp_path_factory.mktemp("output") / "new"
    write_report(agreement, folder)
    return folder


@pytest.fixture(scope="module")
def summary(output):
    def refuse(constant):
        raise AssertionError(f"JSON has no {constant}")

    return json.loads((output / "summary.json").read_text(encoding="utf-8"), parse_constant=refuse)


def test_summary_json_says_what_the_agreement_found(agreement, summary):
    assert (summary["images"], summary["images_compared"]) == (7, 7)
    assert [rater["name"] for rater in summary["raters"]] == list(agreement.raters)
    lee = summary["raters"][0]
    assert (lee["readings"], lee["started_from_a_proposal"], lee["median_seconds"]) == (7, 7, 30.0)
    assert [pair["kind"] for pair in summary["pairs"]] == ["readers", "model", "model"]
    for told, angle in zip(summary["angles"], agreement.angles, strict=True):
        for pair, comparison in zip(told["pairs"], angle.comparisons, strict=True):
            assert pair["cases"] == comparison.figures.cases
            if not math.isnan(comparison.icc):
                assert (pair["icc"], tuple(pair["icc_interval"])) == (comparison.icc, comparison.icc_interval)
                assert tuple(pair["limits"]) == comparison.figures.limits
    assert [entry["id"] for entry in summary["landmarks"]][:2] == ["all", "T1-TL"]
    assert summary["landmarks"][0]["pairs"][0]["px"]["points"] == 68 * 3
    assert summary["landmarks"][0]["pairs"][0]["mm"]["points"] == 68 * 3
    (lonely,) = summary["incomplete"]
    assert (lonely["read_by"], lonely["not_read_by"]) == (["Lee"], [STRANGE])


def test_outliers_in_the_summary_name_files_that_exist(agreement, summary):
    assert [entry["id"] for entry in summary["outliers"]] == [outlier.id for outlier in agreement.outliers]
    for entry in summary["outliers"]:
        for reading in entry["readings"]:
            assert (Path(reading["dataset"]) / reading["image"]).is_file()
            assert (Path(reading["dataset"]) / reading["points"]).is_file()
            assert reading["points"].endswith(".predicted.mrk.json") == reading["rater"].startswith("model")
    spoilt = next(entry for entry in summary["outliers"] if entry["image"] == spine(4)[0].sha256[:8])
    assert spoilt["outside_limits"] or spoilt["others_outside"]


def test_differences_csv_holds_every_difference_once(agreement, output):
    with (output / "differences.csv").open(newline="", encoding="utf-8") as stream:
        rows = list(csv.DictReader(stream))
    compared = [each for angle in agreement.angles for each in angle.comparisons]
    apart = [each for landmark in agreement.landmarks for each in landmark.comparisons]
    assert len(rows) == sum(len(each.images) for each in (*compared, *apart))
    angles = [row for row in rows if row["kind"] == "angle"]
    for row in angles:
        assert float(row["difference"]) == pytest.approx(
            float(row["second_value"]) - float(row["first_value"]), abs=2e-4
        )
    assert sum(int(row["outside_limits"]) for row in angles) == sum(int(each.outside.sum()) for each in compared)
    assert {row["first"] for row in rows} == {"Lee", STRANGE}
    distances = [float(row["difference"]) for row in rows if row["kind"] == "landmark" and row["unit"] == "mm"]
    assert np.mean(distances) == pytest.approx(
        np.mean(np.concatenate([each.distances[each.in_mm] for each in apart])), rel=1e-4
    )


def test_summary_md_is_made_of_whole_tables(output):
    lines = (output / "summary.md").read_text(encoding="utf-8").splitlines()
    tables, here = [], []
    for line in [*lines, ""]:
        if line.startswith("|"):
            here.append(line.replace("\\|", "").count("|"))
        elif here:
            tables.append(here)
            here = []
    assert len(tables) == 1 + 2 * 3 + 1
    assert all(len(set(columns)) == 1 for columns in tables)
    text = "\n".join(lines)
    assert "A reader who started from the proposal is drawn to it" in text
    assert "## Not read by all" in text


def test_each_measurement_has_a_page_as_png_and_svg(agreement, summary, output):
    measured = [angle.id for angle in agreement.angles if any(len(each.images) for each in angle.comparisons)]
    wanted = {f"figures/{stem}.{suffix}" for stem in (*measured, "landmarks") for suffix in ("png", "svg")}
    assert set(summary["figures"]) == wanted
    assert {f"figures/{path.name}" for path in (output / "figures").iterdir()} == wanted


def test_a_page_says_its_figures_in_words_that_can_be_searched(agreement, output):
    tree = ElementTree.parse(output / "figures" / "cobb-aasce-max.svg")
    texts = [text.text or "" for text in tree.iter(f"{SVG}text")]
    whole = " ".join(texts)
    (readers, model, _) = next(angle for angle in agreement.angles if angle.id == "cobb-aasce-max").comparisons
    assert "Cobb angle, largest (AASCE rule)" in whole
    assert "Kim | $x_1$ <&> é" in whole
    for comparison in (readers, model):
        assert f"ICC(2,1) {comparison.icc:.3f}" in whole
        assert f"{comparison.figures.cases} images; mean absolute {comparison.figures.mean_absolute:.2f}" in whole
    assert spine(4)[0].sha256[:8] in texts, "the image outside the limits is not named"


def test_pages_are_large_enough_to_read_and_drawn_in_more_than_one_colour(output):
    picture = matplotlib.image.imread(output / "figures" / "cobb-aasce-max.png")
    assert picture.shape[1] >= 1200
    colours = {tuple(colour) for colour in np.round(picture[..., :3].reshape(-1, 3) * 255).astype(int)}
    assert (213, 94, 0) in colours, "no triangle outside the limits"


def test_the_same_agreement_gives_the_same_drawing(agreement, output, tmp_path):
    told = []
    names = plot_agreement(
        replace(agreement, angles=agreement.angles[:1]),
        tmp_path / "figures",
        lambda fraction, name: told.append(fraction),
    )
    for name in names:
        if name.endswith(".svg"):
            assert (tmp_path / name).read_bytes() == (output / name).read_bytes()
    assert told == sorted(told)
    assert told[-1] == 1.0
