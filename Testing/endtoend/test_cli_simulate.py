"""``python -m orthoangles simulate``: killed, interrupted, resumed, with drawn spines and with meshes."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from support.block_spine import write_library
from support.data import shared_data

from orthoangles.annotation.dataset import Dataset
from orthoangles.cli import main
from orthoangles.measuring import measure
from orthoangles.protocols import load_protocol
from orthoangles.simulation.spine.drawn import simulate_spine

pytestmark = pytest.mark.endtoend

SPINE = ("simulate", "spine", "--size", "256", "120")


@pytest.fixture(scope="module")
def protocol():
    return load_protocol("spine-ap-cobb")


def cases_of(folder):
    """Index and files, by name."""
    index = json.loads((folder / "dataset.json").read_text())
    return index, {path.name: path.read_bytes() for path in folder.iterdir() if path.suffix in (".png", ".json")}


def start(folder, count, workers=2):
    command = [sys.executable, "-m", "orthoangles", *SPINE, "--count", str(count), "--workers", str(workers)]
    return subprocess.Popen(
        [*command, "--output", folder],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        # A shell that runs the tests in the background has its children ignore Ctrl+C.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )


def wait_for_cases(folder, process):
    """Until the index names some; then the worker processes."""
    end = time.monotonic() + 60
    while time.monotonic() < end and process.poll() is None:
        if (folder / "dataset.json").exists():
            return [int(pid) for pid in Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()]
        time.sleep(0.01)
    raise AssertionError(f"no case came: {process.communicate()}")


def is_running(pid):
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except OSError:
        return False


def gone(pids):
    end = time.monotonic() + 10
    while any(is_running(pid) for pid in pids) and time.monotonic() < end:
        time.sleep(0.05)
    return not any(is_running(pid) for pid in pids)


def test_drawn_spines_make_a_valid_dataset(tmp_path, capsys, protocol):
    arguments = [*SPINE, "--count", "3", "--seed", "5", "--workers", "2", "--output", str(tmp_path / "d")]
    assert main(arguments) == 0
    assert "3 cases simulated" in capsys.readouterr().out
    dataset = Dataset(tmp_path / "d")
    assert dataset.problems() == ()
    case = dataset.case("simulated-spine-6")
    spine = simulate_spine(6, (256, 120))
    assert np.array_equal(dataset.read_image(case).array[0], spine.image)
    assert np.array_equal(dataset.read_points(case, protocol.landmark_ids), spine.points)
    assert case.provenance["parameters"] == spine.parameters
    assert main(arguments) == 0
    assert "0 cases simulated" in capsys.readouterr().out
    assert [case.revision for case in dataset.cases] == [1, 1, 1]


@pytest.mark.skipif(not Path("/proc/self/task").is_dir(), reason="the workers are found through /proc")
@pytest.mark.parametrize("how", ["kill", "interrupt"])
def test_a_run_stopped_at_any_moment_is_continued_to_the_same_bytes(tmp_path, how):
    whole, stopped = tmp_path / "whole", tmp_path / "stopped"
    count = 150
    process = start(stopped, count)
    workers = wait_for_cases(stopped, process)
    assert workers
    process.send_signal(signal.SIGKILL if how == "kill" else signal.SIGINT)
    _, errors = process.communicate(timeout=60)
    assert gone(workers)
    dataset = Dataset(stopped)
    assert dataset.problems() == ()
    assert 0 < len(dataset.cases) < count
    if how == "interrupt":
        assert process.returncode == 130
        assert "Traceback" not in errors
        assert not list(stopped.glob(".writing-*"))
    assert main([*SPINE, "--count", str(count), "--workers", "1", "--output", str(stopped)]) == 0
    assert main([*SPINE, "--count", str(count), "--workers", "2", "--output", str(whole)]) == 0
    assert cases_of(stopped) == cases_of(whole)
    assert not list(stopped.glob(".writing-*"))


def test_spines_of_meshes_carry_their_person_and_the_asked_library(tmp_path, protocol):
    bones = write_library(tmp_path / "bones")
    arguments = [*SPINE, "--bones", str(bones), "--count", "2", "--output", str(tmp_path / "d")]
    assert main([*arguments, "--workers", "1", "--split", "test"]) == 0
    dataset = Dataset(tmp_path / "d")
    assert dataset.problems() == ()
    assert [(case.id, case.group, case.split) for case in dataset.cases] == [
        ("simulated-bone-spine-0", "blocks", "test"),
        ("simulated-bone-spine-1", "blocks", "test"),
    ]
    points = dataset.read_points(dataset.cases[0], protocol.landmark_ids)
    assert np.isfinite(points).all()
    (run,) = json.loads((tmp_path / "d" / "simulation.json").read_text())["runs"]
    assert run["asked"]["spine"] == "block_spine"


def test_the_real_spine_is_measured_as_it_was_posed(tmp_path, protocol):
    """Through files: the largest tilt swing of the posed bones is the largest angle between the labelled vertebrae."""
    bones = shared_data("bones")
    arguments = ["simulate", "spine", "--bones", str(bones), "--count", "3", "--size", "700", "320"]
    assert main([*arguments, "--output", str(tmp_path / "d"), "--workers", "1"]) == 0
    dataset = Dataset(tmp_path / "d")
    for case in dataset.cases:
        image = dataset.read_image(case)
        result = measure(protocol, dataset.read_points(case, protocol.landmark_ids), image=image)
        asked = max(case.provenance["parameters"]["curve_angles"])
        # Between two discrete levels, seen in perspective, and with a degree of scatter in each tilt.
        assert result.by_id("cobb-aasce-max").value == pytest.approx(asked, abs=7), case.id


def test_what_cannot_be_is_refused_with_a_reason(tmp_path, capsys):
    output = ["--output", str(tmp_path / "d")]
    for arguments in (
        ["simulate", "spine", "--count", "0", *output],
        ["simulate", "spine", "--count", "1", "--size", "100", "30", *output],
        ["simulate", "foot", "--count", "1", "--angle", "hallux_valgus", *output],
        ["simulate", "foot", "--count", "1", "--spacing", "3", *output],
        ["simulate", "foot", "--count", "1", "--persons", "z013", *output],
        ["simulate", "hand", "--count", "1", *output],
    ):
        with pytest.raises(SystemExit) as stopped:
            main(arguments)
        assert stopped.value.code == 2
    capsys.readouterr()
    assert main(["simulate", "spine", "--count", "1", "--bones", str(tmp_path / "none"), *output]) == 1
    assert "none: has no manifest.json" in capsys.readouterr().err
    (tmp_path / "file").write_text("")
    assert main(["simulate", "spine", "--count", "1", "--output", str(tmp_path / "file")]) == 1
    assert "Traceback" not in capsys.readouterr().err
    assert not (tmp_path / "d").exists()


def test_the_angles_that_can_be_set_are_listed(capsys):
    with pytest.raises(SystemExit) as stopped:
        main(["simulate", "foot", "--list-angles"])
    assert stopped.value.code == 0
    assert "hallux_valgus" in capsys.readouterr().out


def test_workers_default_to_the_cores_this_process_may_use(capsys):
    with pytest.raises(SystemExit):
        main(["simulate", "spine", "--help"])
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    assert f"default: {cores}, the cores" in capsys.readouterr().out


def test_feet_of_code_have_the_angle_that_was_asked_for(tmp_path, capsys):
    """No foreign bones: two feet of 30 degrees, read back through files and the protocol."""
    output = tmp_path / "d"
    arguments = ["simulate", "foot", "--count", "2", "--size", "512", "--angle", "hallux_valgus=30", "--views", "ap"]
    assert main([*arguments, "--workers", "2", "--output", str(output)]) == 0
    assert "4 cases simulated" in capsys.readouterr().out
    dataset = Dataset(output)
    assert dataset.problems() == ()
    feet = [case for case in dataset.cases if case.protocol == "foot-ap-hallux"]
    assert len({case.group for case in feet}) == 2
    hallux = load_protocol("foot-ap-hallux")
    for case in feet:
        image = dataset.read_image(case)
        assert max(image.array.shape) == 512
        points = dataset.read_points(case, hallux.landmark_ids)
        result = measure(hallux, points, image=image, laterality=image.laterality)
        assert result.by_id("hallux-valgus-angle").value == pytest.approx(30, abs=0.1), case.id
    assert (output / "contact-sheet.png").stat().st_size > 10_000
    (run,) = json.loads((output / "simulation.json").read_text())["runs"]
    assert run["cases"] == {"foot-ap": 2, "foot-ap-hallux": 2}
    assert run["numbers"]["foot.pose.angles.hallux_valgus"]["mean"] == 30
