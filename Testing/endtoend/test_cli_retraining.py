"""``python -m orthoangles retrain``: as a user, and as a program that reads its lines, starts, stops and kills it."""

import json
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from support.retrained import GROUPS, drawn_feet, tiny_bundle

from orthoangles.bundle_versions import current_digest
from orthoangles.cli import main

pytestmark = pytest.mark.endtoend

REPOSITORY = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    folder = tmp_path_factory.mktemp("retrain")
    tiny_bundle(folder / "tiny")
    drawn_feet(folder / "corrected", [f"person-{k}" for k in range(10)])
    drawn_feet(folder / "old", GROUPS, 2, seed=5)
    return folder


def started(place, output, *more):
    command = [sys.executable, "-m", "orthoangles", "retrain", "--bundle", place / "tiny", "--output", output]
    command += ["--dataset", place / "corrected", "--old", place / "old", "--json", *more]
    return subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=REPOSITORY, start_new_session=True
    )


def lines_until(process, enough):
    """The objects that it prints, up to the first one that is ``enough``."""
    found = []
    for line in process.stdout:
        found.append(json.loads(line))
        if enough(found[-1]):
            return found
    raise AssertionError(process.stderr.read())


def is_training(line):
    return line["stage"] == "training" and int(line["message"].split()[1]) > 3


def test_stopped_killed_finished_accepted_and_restored(place, tmp_path, capsys):
    output, old = tmp_path / "run", current_digest(place / "tiny")

    process = started(place, output)
    lines_until(process, is_training)
    process.send_signal(signal.SIGINT)
    asked = time.monotonic()
    rest, said = process.communicate(timeout=60)
    assert time.monotonic() - asked < 10
    assert process.returncode == 130, said
    assert json.loads(rest.splitlines()[-1])["stage"] == "stopped"
    assert "what was done so far is kept" in said

    process = started(place, output)
    lines_until(process, is_training)
    process.kill()
    process.communicate(timeout=60)
    assert current_digest(place / "tiny") == old
    assert main(["retrain", "--accept", str(output)]) == 1
    assert "not finished" in capsys.readouterr().err

    process = started(place, output)
    printed, said = process.communicate(timeout=300)
    assert process.returncode == 0, said
    lines = [json.loads(line) for line in printed.splitlines()]
    assert all({"stage", "fraction", "message", "seconds_left"} <= line.keys() for line in lines)
    # What the first one had learned when it was stopped was kept, and the kill took none of it.
    assert int(next(line for line in lines if line["stage"] == "training")["message"].split()[1]) > 4
    assert lines[-1]["stage"] == "done"
    assert lines[-1]["recommended"] is True
    assert lines[-1]["output"] == str(output)

    assert main(["retrain", "--accept", str(output)]) == 0
    new = current_digest(place / "tiny")
    assert new != old
    assert f"tiny has the new weights {new[:12]}" in capsys.readouterr().out
    assert main(["retrain", "--restore", str(place / "tiny")]) == 0
    assert current_digest(place / "tiny") == old
    assert main(["retrain", "--restore", str(place / "tiny")]) == 1
    assert "has no earlier weights" in capsys.readouterr().err


def test_for_people_and_by_the_clock(place, tmp_path):
    command = [sys.executable, "-m", "orthoangles", "retrain", "--bundle", place / "tiny", "--minutes", "0.05"]
    command += ["--dataset", place / "corrected", "--output", tmp_path / "run"]
    done = subprocess.run(command, capture_output=True, text=True, cwd=REPOSITORY, timeout=300, check=False)
    assert done.returncode == 0, done.stderr
    assert "On 5 corrected cases of 5 persons held out" in done.stdout
    assert "what it may have forgotten is not known" in done.stdout
    assert f"See {tmp_path / 'run' / 'comparison.md'}." in done.stdout
    plan = json.loads((tmp_path / "run" / "plan.json").read_text())
    assert 0 < plan["steps"] < 100
    training = json.loads((tmp_path / "run" / "comparison.json").read_text())["training"]
    assert training["held_out"] == plan["held_out"]


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        ([], "one of the arguments --bundle --accept --restore is required"),
        (["--bundle", "TINY", "--output", "x"], "--bundle needs --dataset and --output"),
        (["--bundle", "TINY", "--dataset", "nowhere", "--output", "x"], "nowhere holds no dataset.json"),
        (["--bundle", "TINY", "--dataset", "CASES", "--old", "CASES", "--output", "x"], "named twice"),
        (["--bundle", "TINY", "--dataset", "CASES", "--output", "x", "--minutes", "0"], "must be above 0"),
        (["--bundle", "TINY", "--dataset", "CASES", "--output", "x", "--force"], "--force goes with --accept"),
        (["--accept", "x", "--minutes", "3"], "take no --dataset"),
    ],
)
def test_bad_usage(place, capsys, options, reason):
    places = {"TINY": str(place / "tiny"), "CASES": str(place / "corrected")}
    with pytest.raises(SystemExit) as left:
        main(["retrain", *(places.get(option, option) for option in options)])
    assert left.value.code == 2
    assert reason in capsys.readouterr().err
