"""``python -m orthoangles agreement``."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from support.readers import jitter, proposal, read_case, spine

from orthoangles.annotation.dataset import Dataset
from orthoangles.cli import main

pytestmark = pytest.mark.endtoend

REPOSITORY = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def readers(tmp_path_factory):
    folder = tmp_path_factory.mktemp("readers")
    for number in range(4):
        image, truth = spine(number)
        proposed = proposal(jitter(truth, 1.0, 50 + number))
        read_case(folder / "lee", image, jitter(truth, 0.5, number), "Lee", prediction=proposed)
        read_case(folder / "kim", image, jitter(truth, 0.5, 20 + number), "Kim")
    return folder


def test_two_readers_as_a_user_runs_it(readers, tmp_path):
    command = [sys.executable, "-m", "orthoangles", "agreement", "--dataset", readers / "lee", readers / "kim"]
    command += ["--output", tmp_path / "out"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, cwd=REPOSITORY, check=False)
    assert done.returncode == 0, done.stderr
    assert "4 images compared of 4 (Lee, Kim), 0 not read by all, 0 cases left out" in done.stdout
    names = {path.name for path in (tmp_path / "out").iterdir()}
    assert names == {"summary.json", "summary.md", "differences.csv", "figures"}
    assert "ICC(2,1)" in (tmp_path / "out" / "summary.md").read_text(encoding="utf-8")


def test_a_reader_against_the_model_and_a_broken_case_named(readers, tmp_path, capsys):
    import shutil

    shutil.copytree(readers / "lee", tmp_path / "lee")
    broken = Dataset(tmp_path / "lee").cases[0]
    (tmp_path / "lee" / broken.points).unlink()
    arguments = ["agreement", "--dataset", str(tmp_path / "lee"), "--model", "--output", str(tmp_path / "out")]
    assert main(arguments) == 1
    said = capsys.readouterr()
    assert f"error: lee, case {broken.id}:" in said.err
    assert "3 images compared of 3 (Lee, model spine_ap_cobb 1.0 (abababab))" in said.out
    summary = json.loads((tmp_path / "out" / "summary.json").read_text(encoding="utf-8"))
    assert summary["left_out"][0]["failed"]


def test_one_reader_alone_cannot_be_compared(readers, tmp_path, capsys):
    arguments = ["agreement", "--dataset", str(readers / "kim"), "--output", str(tmp_path / "out")]
    assert main(arguments) == 1
    assert "error: nothing can be compared" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        (["--dataset", "LEE", "nowhere"], "nowhere holds no dataset.json"),
        (["--dataset", "LEE", "LEE"], "named twice"),
        (["--dataset", "LEE", "KIM", "--names", "Lee"], "1 names for 2 datasets"),
        (["--dataset", "LEE", "KIM", "--protocol", "knee"], "there is no 'knee'"),
        (["--dataset", "LEE", "KIM", "--outliers", "-1"], "must be 0 or more"),
    ],
)
def test_bad_usage(readers, tmp_path, capsys, options, reason):
    places = {"LEE": str(readers / "lee"), "KIM": str(readers / "kim")}
    with pytest.raises(SystemExit) as left:
        main(["agreement", *(places.get(option, option) for option in options), "--output", str(tmp_path)])
    assert left.value.code == 2
    assert reason in capsys.readouterr().err
