"""``python -m orthoangles measure`` as a user runs it."""

import json
import subprocess
import sys
import zipfile
from dataclasses import replace
from pathlib import Path

import jsonschema
import numpy as np
import pytest
from support.tools import tool

from orthoangles import protocols
from orthoangles.annotation.markups_json import read_markups, write_markups
from orthoangles.cli import main
from orthoangles.images import read_image
from orthoangles.paths import models_dir, resources_dir
from orthoangles.protocols import load_protocol
from orthoangles.simulation.spine.drawn import simulate_spine

pytestmark = pytest.mark.endtoend

REPOSITORY = Path(__file__).resolve().parents[2]
SAMPLE = resources_dir() / "SampleData" / "spine-ap-sample.png"
TRUTH = SAMPLE.with_name("spine-ap-sample.truth.mrk.json")
WEIGHTS = models_dir() / "spine_ap_cobb" / "models" / "model.pt"

NUMBER_OR_NULL = {"type": ["number", "null"]}
TEXT_OR_NULL = {"type": ["string", "null"]}
RECORD_SCHEMA = {
    "type": "object",
    "required": ["image", "protocol", "model", "landmarks", "measurements", "findings", "warnings"],
    "properties": {
        "image": {"type": "string"},
        "protocol": {"type": "string"},
        "model": {
            "type": ["object", "null"],
            "required": ["name", "version", "sha256"],
            "properties": {"sha256": {"pattern": "^[0-9a-f]{64}$"}},
        },
        "landmarks": {
            "type": "array",
            "items": {
                "type": "object",
                "required": ["id", "position", "confidence"],
                "properties": {
                    "position": {"type": ["array", "null"], "minItems": 3, "maxItems": 3, "items": {"type": "number"}},
                    "confidence": NUMBER_OR_NULL,
                },
            },
        },
        "measurements": {
            "type": "array",
            "items": {
                "type": "object",
                "required": ["id", "name", "value", "unit", "plane", "grade", "interval", "reason"],
                "properties": {
                    "value": NUMBER_OR_NULL,
                    "plane": TEXT_OR_NULL,
                    "grade": TEXT_OR_NULL,
                    "reason": TEXT_OR_NULL,
                    "interval": {"type": ["array", "null"], "minItems": 2, "maxItems": 2, "items": {"type": "number"}},
                },
            },
        },
        "findings": {
            "type": "array",
            "items": {
                "type": "object",
                "required": ["id", "present", "rule"],
                "properties": {"present": {"type": ["boolean", "null"]}},
            },
        },
        "warnings": {"type": "array", "items": {"type": "string"}},
    },
}


@pytest.fixture(scope="module")
def protocol():
    return load_protocol("spine-ap-cobb")


@pytest.fixture(scope="module")
def folder(tmp_path_factory, protocol):
    """Two spines with their landmarks, and one file that is no image."""
    folder = tmp_path_factory.mktemp("images")
    for name, seed in (("one", 1), ("two", 2)):
        spine = simulate_spine(seed, (400, 180))
        spine.write_png(folder / f"{name}.png")
        write_markups(folder / f"{name}.mrk.json", protocol.landmark_ids, spine.points)
    (folder / "broken.png").write_text("this is no picture")
    return folder


def run(*arguments, cwd=REPOSITORY):
    """The command in a process of its own: exit code, standard output, standard error."""
    command = [sys.executable, "-m", "orthoangles", *map(str, arguments)]
    done = subprocess.run(command, cwd=cwd, capture_output=True, text=True, timeout=300)
    return done.returncode, done.stdout, done.stderr


def records(output):
    lines = [json.loads(line) for line in output.splitlines()]
    for line in lines:
        if "error" not in line:
            jsonschema.validate(line, RECORD_SCHEMA)
    return lines


def values(record):
    return {entry["id"]: entry["value"] for entry in record["measurements"]}


def test_a_bad_file_among_good_ones(folder, tmp_path):
    images = [folder / name for name in ("one.png", "broken.png", "two.png")]
    code, output, errors = run(
        "measure", *images, "--protocol", "spine-ap-cobb", "--landmarks", folder, "--output", tmp_path / "out", "--json"
    )
    assert code == 1
    one, broken, two = records(output)
    assert (one["image"], broken["image"], two["image"]) == ("one.png", "broken.png", "two.png")
    assert "broken.png" in broken["error"]
    assert "error: broken.png" in errors
    assert "2 of 3 measured" in errors
    assert "3/3" in errors  # the progress bar
    assert str(folder) not in output + errors
    for name, printed in (("one", one), ("two", two)):
        assert json.loads((tmp_path / "out" / f"{name}.measurements.json").read_text()) == printed
        for ending in (".mrk.json", ".measurements.csv", ".overlay.png"):
            assert (tmp_path / "out" / (name + ending)).stat().st_size > 500


def test_without_json_it_speaks_to_people(folder, tmp_path, capsys):
    arguments = ["measure", folder / "one.png", "--protocol", "spine-ap-cobb", "--output", tmp_path]
    assert main([*map(str, arguments), "--landmarks", str(folder / "one.mrk.json")]) == 0
    printed = capsys.readouterr().out
    assert "Cobb angle, largest (AASCE rule)" in printed
    assert "deg" in printed


def test_the_truth_of_the_sample_is_what_its_landmarks_measure(tmp_path, capsys):
    arguments = ["measure", SAMPLE, "--protocol", "spine-ap-cobb", "--landmarks", TRUTH, "--output", tmp_path, "--json"]
    assert main([*map(str, arguments)]) == 0
    (record,) = records(capsys.readouterr().out)
    noted = json.loads(SAMPLE.with_name("spine-ap-sample.truth.json").read_text())
    assert values(record) == pytest.approx(values(noted), abs=1e-6)
    assert values(record)["cobb-clinical-mt"] > 30
    assert values(record)["cobb-clinical-tl"] > 35


def test_a_scene_opens_again_with_its_angles_alive(folder, tmp_path, capsys, protocol):
    pytest.importorskip("slicer")
    from orthoangles.scene import MeasurementSession, session_nodes
    from orthoangles.scene.saving import load_scene

    arguments = [
        "measure",
        folder / "one.png",
        "--protocol",
        "spine-ap-cobb",
        "--output",
        tmp_path,
        "--scene",
        "--json",
    ]
    assert main([*map(str, arguments), "--landmarks", str(folder / "one.mrk.json")]) == 0
    (record,) = records(capsys.readouterr().out)
    host = load_scene(tmp_path / "one.mrb")
    (node,) = session_nodes(host.scene)
    session = MeasurementSession.restore(node)
    measured = {entry.id: entry.value for entry in session.result.measurements}
    assert measured == pytest.approx(values(record), abs=1e-4)
    before = session.result.by_id("cobb-aasce-max").value
    session.set_point("L5-TR", session.points[protocol.index("L5-TR")] + [0, 30, 0])
    assert session.result.by_id("cobb-aasce-max").value != pytest.approx(before, abs=0.5)
    session.remove()


def test_nothing_of_a_dicom_patient_comes_out(folder, tmp_path, capsys):
    """Not in a file, not inside the scene's archive, not on the screen; lengths are known all the same."""
    pytest.importorskip("slicer")
    from support.planted import WORDS, write_planted_dicom

    write_planted_dicom(tmp_path / "case7.dcm", simulate_spine(1, (400, 180)).image)
    out = tmp_path / "out"
    arguments = ["measure", tmp_path / "case7.dcm", "--protocol", "spine-ap-cobb", "--output", out, "--scene", "--json"]
    assert main([*map(str, arguments), "--landmarks", str(folder / "one.mrk.json")]) == 0
    printed = capsys.readouterr()
    contents = {"screen": (printed.out + printed.err).encode()}
    contents |= {path.name: path.read_bytes() for path in out.iterdir()}
    with zipfile.ZipFile(out / "case7.mrb") as archive:
        contents |= {name: archive.read(name) for name in archive.namelist()}
    assert len(contents) > 8
    for name, content in contents.items():
        for word in WORDS:
            assert word.encode() not in content, f"{word} in {name}"
            assert word not in name


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "required: COMMAND"),
        (["measure"], "IMAGE"),
        (["measure", "x.png"], "--protocol"),
        (["measure", "x.png", "--protocol", "knee"], "choose one of foot-ap, foot-ap-hallux, .*spine-ap-cobb"),
        (["measure", "x.png", "--protocol", "spine-ap-cobb", "--landmarks", "gone.mrk.json"], "does not exist"),
        (["measure", "x.png", "y.png", "--protocol", "spine-ap-cobb", "--landmarks", str(TRUTH)], "several images"),
        (["measure", "x.png", "--protocol", "spine-ap-cobb", "--device", "abacus"], "choose one of auto"),
        (["import", "--from", "nowhere", ".", "--output", "x"], "invalid choice"),
        (["import", "--from", "aasce", "gone", "--output", "x"], "SOURCE is not a folder"),
        (["simulate", "hand", "--count", "1", "--output", "x"], "invalid choice"),
        (["simulate", "spine", "--count", "0", "--output", "x"], "not above 0"),
        (["simulate", "spine", "--count", "1", "--size", "50", "50", "--output", "x"], "at least 128 rows"),
        (["train", "--bundle", "spine_ap_cobb", "--dataset", "gone"], r"holds no dataset\.json"),
        (["evaluate", "--bundle", "spine_ap_cobb", "--dataset", "gone", "--output", "x"], r"holds no dataset\.json"),
    ],
)
def test_bad_usage_is_exit_code_2_with_a_hint(arguments, message, capsys):
    with pytest.raises(SystemExit) as caught:
        main(arguments)
    assert caught.value.code == 2
    import re

    assert re.search(message, capsys.readouterr().err)


def test_a_protocol_without_a_network_asks_for_landmarks(monkeypatch, capsys):
    shipped = protocols.load_protocol
    monkeypatch.setattr(protocols, "load_protocol", lambda name: replace(shipped(name), bundle=""))
    with pytest.raises(SystemExit):
        main(["measure", "x.nrrd", "--protocol", "foot-wbct"])
    assert "'foot-wbct' has no network yet; give landmarks placed by hand: --landmarks" in capsys.readouterr().err


def test_an_output_that_cannot_be_a_folder_is_exit_code_1(folder, tmp_path, capsys):
    (tmp_path / "file").write_text("in the way")
    arguments = ["measure", folder / "one.png", "--protocol", "spine-ap-cobb", "--output", tmp_path / "file"]
    assert main([*map(str, arguments), "--landmarks", str(folder / "one.mrk.json")]) == 1
    assert "error: " in capsys.readouterr().err


def test_help_needs_no_heavy_library():
    """A user who asks for help waits for milliseconds, not for torch."""
    script = (
        "import sys, orthoangles.cli as c\n"
        "try: c.main(['measure', '--help'])\n"
        "except SystemExit: pass\n"
        "heavy = ('torch', 'monai', 'SimpleITK', 'scipy', 'matplotlib', 'slicer', 'numpy')\n"
        "print([name for name in heavy if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", script], cwd=REPOSITORY, capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "[]"


@pytest.fixture(scope="module")
def network_run(tmp_path_factory):
    """The sample and two files that are no radiographs, in one run."""
    if not WEIGHTS.exists():
        pytest.skip("models/spine_ap_cobb has no weights yet")
    folder = tmp_path_factory.mktemp("network")
    (folder / "empty.png").touch()
    (folder / "words.dcm").write_text("words")
    images = [folder / "empty.png", SAMPLE, folder / "words.dcm"]
    code, output, errors = run(
        "measure", *images, "--protocol", "spine-ap-cobb", "--device", "cpu", "--output", folder / "out", "--json",
        "--scene",
    )  # fmt: skip
    return code, records(output), errors, folder / "out"


def test_the_bad_files_are_named_and_the_sample_is_measured(network_run):
    code, (empty, sample, words), errors, output = network_run
    assert code == 1
    assert "error: empty.png" in errors
    assert "error: words.dcm" in errors
    assert "error" in empty
    assert "error" in words
    assert sample["image"] == SAMPLE.name
    assert {path.name for path in output.iterdir()} == {".finished", "measurements.csv", "failures.csv"} | {
        f"spine-ap-sample.{ending}"
        for ending in ("mrk.json", "measurements.json", "measurements.csv", "overlay.png", "mrb")
    }


def test_the_network_is_named_by_its_weights(network_run):
    import hashlib

    sample = network_run[1][1]
    assert sample["model"]["name"] == "spine_ap_cobb"
    assert sample["model"]["sha256"] == hashlib.sha256(WEIGHTS.read_bytes()).hexdigest()


def test_the_sample_is_measured_right(network_run):
    sample = values(network_run[1][1])
    truth = values(json.loads(SAMPLE.with_name("spine-ap-sample.truth.json").read_text()))
    for name in ("cobb-aasce-max", "cobb-clinical-major", "cobb-clinical-mt", "cobb-clinical-tl"):
        assert sample[name] == pytest.approx(truth[name], abs=5), name


def test_its_corners_lie_on_the_drawn_ones(network_run, protocol):
    found = read_markups(network_run[3] / "spine-ap-sample.mrk.json").ordered(protocol.landmark_ids)
    truth = read_markups(TRUTH).ordered(protocol.landmark_ids)
    distance = np.linalg.norm(found - truth, axis=1)
    # 1,536 rows: half a percent of the height on average, and none on another vertebra.
    assert np.mean(distance) < 8
    assert np.max(distance) < 40


def test_the_sample_is_a_plausible_spine(network_run):
    assert network_run[1][1]["warnings"] == []


def test_confidences_are_probabilities(network_run):
    confidence = [entry["confidence"] for entry in network_run[1][1]["landmarks"]]
    assert all(0 <= value <= 1 for value in confidence)


def test_the_sample_is_what_the_simulation_renders_today():
    """Resources/SampleData is made by a command; a change of the simulation must not part the two."""
    spine = tool("make_sample_data").spine()
    shipped = read_image(SAMPLE).array[0].astype(int)
    # Another machine's arithmetic may round a grey value the other way.
    assert np.abs(shipped - spine.image.astype(int)).max() <= 1
    corners = read_markups(TRUTH).ordered(load_protocol("spine-ap-cobb").landmark_ids)
    assert np.allclose(corners, spine.points, atol=1e-6)
