"""``python -m orthoangles measure FOLDER`` as a user runs it."""

import csv
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from support.planted import WORDS, write_planted_dicom

from orthoangles.annotation.markups_json import write_markups
from orthoangles.cli import main
from orthoangles.paths import models_dir
from orthoangles.protocols import load_protocol
from orthoangles.simulation.spine.drawn import simulate_spine

pytestmark = pytest.mark.endtoend

REPOSITORY = Path(__file__).resolve().parents[2]
NAMES = ("one", "two", "three")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Three spines with their landmarks, and one file that is no image."""
    folder = tmp_path_factory.mktemp("images")
    for seed, name in enumerate(NAMES):
        spine = simulate_spine(seed, (400, 180))
        spine.write_png(folder / f"{name}.png")
        write_markups(folder / f"{name}.mrk.json", load_protocol("spine-ap-cobb").landmark_ids, spine.points)
    (folder / "broken.png").write_text("this is no picture")
    return folder


def run(*arguments):
    command = [sys.executable, "-m", "orthoangles", "measure", *map(str, arguments), "--protocol", "spine-ap-cobb"]
    environment = {**os.environ, "OMP_NUM_THREADS": "2"}
    done = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, timeout=300, env=environment)
    return done.returncode, done.stdout, done.stderr


def table(path):
    with path.open(encoding="utf-8-sig", newline="") as file:
        return list(csv.DictReader(file))


def test_a_folder_is_measured_and_a_second_call_prints_the_same_without_measuring(folder, tmp_path):
    arguments = (folder, "--landmarks", folder, "--output", tmp_path / "out", "--workers", 2, "--json")
    code, output, errors = run(*arguments)
    assert code == 1
    lines = [json.loads(line) for line in output.splitlines()]
    assert [line["image"] for line in lines] == ["broken.png", "one.png", "three.png", "two.png"]
    assert "3 of 4 measured; results in" in errors
    assert "4/4" in errors  # the progress bar
    (failure,) = table(tmp_path / "out" / "failures.csv")
    assert failure == {"image": "broken.png", "result": "broken", "reason": lines[0]["error"]}
    rows = table(tmp_path / "out" / "measurements.csv")
    expected = [(line["image"], entry["id"]) for line in lines[1:] for entry in line["measurements"]]
    assert [(row["image"], row["id"]) for row in rows] == expected
    code, again, errors = run(*arguments)
    assert (code, again) == (1, output)
    assert "3 of 4 measured (3 of them by an earlier call)" in errors


def test_a_single_image_leaves_nothing_but_its_own_files(folder, tmp_path, capsys):
    arguments = ["measure", folder / "one.png", "--protocol", "spine-ap-cobb", "--output", tmp_path]
    assert main([*map(str, arguments), "--landmarks", str(folder / "one.mrk.json"), "--workers", "3"]) == 0
    assert {path.name for path in tmp_path.iterdir()} == {
        f"one.{ending}" for ending in ("mrk.json", "measurements.json", "measurements.csv", "overlay.png")
    }


def test_nothing_of_dicom_patients_comes_out(folder, tmp_path):
    images = tmp_path / "images"
    images.mkdir()
    for name in ("one", "two"):
        write_planted_dicom(images / f"{name}.dcm", simulate_spine(1, (400, 180)).image)
    cut = (images / "two.dcm").read_bytes()
    (images / "cut.dcm").write_bytes(cut[: len(cut) - 1000])
    code, output, errors = run(images, "--landmarks", folder, "--output", tmp_path / "out", "--traceback")
    assert code == 1
    assert "2 of 3 measured" in errors
    contents = {path.name: path.read_bytes() for path in (tmp_path / "out").rglob("*") if path.is_file()}
    contents["screen"] = (output + errors).encode()
    assert len(contents) > 10
    for name, content in contents.items():
        for word in WORDS:
            assert word.encode() not in content, f"{word} in {name}"
            assert word not in name


@pytest.mark.skipif(
    not (models_dir() / "spine_ap_cobb" / "models" / "model.pt").exists(), reason="the network has no weights"
)
def test_two_warm_networks_measure_what_one_does(folder, tmp_path):
    for workers in (1, 2):
        code, _, errors = run(folder, "--output", tmp_path / str(workers), "--workers", workers, "--device", "cpu")
        assert code == 1, errors
    for name in NAMES:
        one, two = (read(tmp_path / str(workers) / f"{name}.measurements.json") for workers in (1, 2))
        assert one["model"] == two["model"]
        # One has two threads, the others one each: they add numbers in another order.
        assert np.allclose(places(one), places(two), atol=1e-2, equal_nan=True)


def read(path):
    return json.loads(path.read_text())


def places(record):
    return np.array([entry["position"] or [np.nan] * 3 for entry in record["landmarks"]])


@pytest.mark.parametrize("number", ["0", "-1", "two"])
def test_there_is_at_least_one_worker(number, capsys):
    with pytest.raises(SystemExit) as caught:
        main(["measure", "x.png", "--protocol", "spine-ap-cobb", "--workers", number])
    assert caught.value.code == 2
    assert "--workers" in capsys.readouterr().err
