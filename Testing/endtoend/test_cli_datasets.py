"""``python -m orthoangles import``, and what Slicer makes of the files."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from support.data import shared_data
from support.reviewed import write_reviewed

from orthoangles.annotation.dataset import Dataset
from orthoangles.annotation.importing import aasce_group, import_aasce
from orthoangles.annotation.markups_json import read_markups, write_markups
from orthoangles.cli import main
from orthoangles.errors import DatasetError
from orthoangles.protocols import load_protocol
from orthoangles.simulation.spine.drawn import simulate_spine

pytestmark = pytest.mark.endtoend

REPOSITORY = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def protocol():
    return load_protocol("spine-ap-cobb")


@pytest.fixture
def aasce(tmp_path):
    """Three simulated spines in AASCE's layout, the second with its last vertebra listed at the top."""
    folder = tmp_path / "aasce"
    images, labels = folder / "data" / "training", folder / "labels" / "training"
    images.mkdir(parents=True)
    labels.mkdir(parents=True)
    names = [
        "sunhl-1th-02-Jan-2017-162 A AP.jpg",
        "sunhl-1th-02-Jan-2017-162 B AP.jpg",
        "sunhl-1th-20-Jul-2016-coronal10.jpg",
    ]
    rows = []
    for seed, name in enumerate(names):
        spine = simulate_spine(seed, (400, 200))
        spine.write_png(images / (name[:-4] + ".png"))
        (images / (name[:-4] + ".png")).rename(images / name)
        corners = np.roll(spine.corners, 1, axis=0) if seed == 1 else spine.corners
        flat = corners.reshape(68, 2) / [200, 400]
        rows.append(np.concatenate([flat[:, 0], flat[:, 1]]))
    (labels / "filenames.csv").write_text("\n".join(names) + "\n")
    np.savetxt(labels / "landmarks.csv", rows, delimiter=",", fmt="%.17g")
    np.savetxt(labels / "angles.csv", np.zeros((3, 3)), delimiter=",")
    return folder


def test_aasce_is_imported_unchanged_grouped_and_flagged(aasce, tmp_path, capsys, protocol):
    assert main(["import", "--from", "aasce", str(aasce), "--output", str(tmp_path / "d")]) == 0
    assert "3 cases imported into" in capsys.readouterr().out
    dataset = Dataset(tmp_path / "d")
    assert dataset.problems() == ()
    first, second, third = dataset.cases
    assert first.group == second.group == "aasce-case-162"
    assert third.group == "aasce-unnumbered"
    assert first.provenance["label_flags"] == []
    assert second.provenance["label_flags"]
    points = dataset.read_points(second, protocol.landmark_ids)
    assert np.allclose(points[4:, :2], simulate_spine(1, (400, 200)).corners.reshape(68, 2)[:-4])
    assert np.array_equal(dataset.read_image(first).array[0], simulate_spine(0, (400, 200)).image)
    assert first.provenance["source_row"] == 0


def test_a_missing_image_fails_alone(aasce, tmp_path, capsys):
    (aasce / "data" / "training" / "sunhl-1th-02-Jan-2017-162 B AP.jpg").unlink()
    assert main(["import", "--from", "aasce", str(aasce), "--output", str(tmp_path / "d")]) == 1
    assert "error: row 2 of filenames.csv: is missing" in capsys.readouterr().err
    assert main(["import", "--from", "aasce", "--show-names", str(aasce), "--output", str(tmp_path / "d")]) == 1
    assert "162 B AP.jpg: is missing" in capsys.readouterr().err
    assert len(Dataset(tmp_path / "d").cases) == 2


def test_tables_that_do_not_fit_together_are_refused(aasce, tmp_path):
    table = aasce / "labels" / "training" / "angles.csv"
    table.write_text("1,2,3\n")
    with pytest.raises(DatasetError, match="does not fit together"):
        import_aasce(aasce, tmp_path / "d")
    table.unlink()
    with pytest.raises(DatasetError, match=r"not in AASCE's layout \(labels/training/angles\.csv is missing\)"):
        import_aasce(aasce, tmp_path / "d")


@pytest.mark.parametrize(
    ("name", "group"),
    [
        ("sunhl-1th-02-Jan-2017-162 A AP.jpg", "aasce-case-162"),
        ("sunhl-1th-28-Nov-2016-55 D AP2.jpg", "aasce-case-55"),
        ("sunhl-1th-28-Nov-2016-55 A AP (2).jpg", "aasce-case-55"),
        ("sunhl-1th-20-Jul-2016-coronal10.jpg", "aasce-unnumbered"),
    ],
)
def test_the_patient_behind_a_name(name, group):
    assert aasce_group(name) == group


def test_a_dataset_goes_to_other_tools_and_comes_back(tmp_path, capsys, protocol):
    write_reviewed(tmp_path / "d")
    for target, origin in (("coco", "coco"), ("labelme", "labelme")):
        out, back = tmp_path / target, tmp_path / f"{target}-back"
        assert main(["export", "--dataset", str(tmp_path / "d"), "--to", target, "--output", str(out)]) == 0
        assert "4 cases written to" in capsys.readouterr().out
        assert main(["import", "--from", origin, str(out), "--output", str(back)]) == 0
        assert "4 cases imported into" in capsys.readouterr().out
        assert Dataset(back).problems(digests=True) == ()
    assert main(["import", "--from", "coco", str(tmp_path / "coco" / "annotations.json"), "--output",
                 str(tmp_path / "file")]) == 0  # fmt: skip
    table = tmp_path / "t" / "all.csv"
    options = ["export", "--dataset", str(tmp_path / "d"), "--to", "csv", "--output", str(table)]
    assert main([*options, "--states", "confirmed", "rejected"]) == 0
    assert "2 cases written to" in capsys.readouterr().out
    assert len(table.read_text().splitlines()) == 1 + 2 * 68


def test_reasons_are_told_once_for_all_that_they_struck(tmp_path, capsys):
    folder = tmp_path / "s"
    folder.mkdir()
    for number in range(8):
        (folder / f"{number}.json").write_text('{"shapes": []}')
    assert main(["import", "--from", "labelme", str(folder), "--output", str(tmp_path / "d")]) == 1
    said = capsys.readouterr()
    assert "error: file 1 of 8, file 2 of 8, file 3 of 8, file 4 of 8, file 5 of 8 and 3 more: it has no p" in said.err
    assert said.err.count("it has no points") == 1
    assert "--show-names" in said.err
    assert "0 cases imported into" in said.out


@pytest.mark.parametrize(
    "arguments",
    [
        ["import", "--from", "labelme", "gone", "--output", "d"],
        ["import", "--from", "aasce", ".", "--output", "d", "--match", "order"],
        ["import", "--from", "aasce", ".", "--output", "d", "--protocol", "foot-ap"],
        ["import", "--from", "xml", ".", "--output", "d"],
        ["export", "--dataset", "gone", "--to", "coco", "--output", "o"],
        ["export", "--dataset", "gone", "--to", "xml", "--output", "o"],
    ],
)
def test_bad_usage_is_told(arguments, capsys):
    with pytest.raises(SystemExit) as caught:
        main(arguments)
    assert caught.value.code == 2
    assert "error:" in capsys.readouterr().err


def test_an_unknown_protocol_fails_with_those_that_there_are(tmp_path, capsys):
    write_reviewed(tmp_path / "d")
    main(["export", "--dataset", str(tmp_path / "d"), "--to", "coco", "--output", str(tmp_path / "c")])
    arguments = ["import", "--from", "coco", str(tmp_path / "c"), "--output", str(tmp_path / "e"), "--protocol", "no"]
    assert main(arguments) == 1
    assert "no protocol 'no'; available: foot-ap" in capsys.readouterr().err


def test_the_real_aasce_set_is_imported_whole(tmp_path, protocol):
    source = shared_data("aasce")
    report = import_aasce(source, tmp_path / "d")
    assert len(report.imported) == 466
    assert report.failed == ()
    dataset = Dataset(tmp_path / "d")
    groups = {case.group for case in dataset.cases}
    assert 100 < len(groups) < 466
    # METHODS: about one label in eleven was found faulty by others; most of those are visible without the
    # picture.
    assert 10 < len(report.flagged) < 80
    assert dataset.problems() == ()
    rows = np.loadtxt(source / "labels" / "training" / "landmarks.csv", delimiter=",")
    for number in (0, 200, 465):
        case = dataset.cases[number]
        columns, height, _ = dataset.read_image(case).size
        points = dataset.read_points(case, protocol.landmark_ids)
        assert np.allclose(points[:, 0], rows[number, :68] * columns)
        assert np.allclose(points[:, 1], rows[number, 68:] * height)


def test_slicer_and_this_package_read_each_others_landmarks(tmp_path, protocol):
    """The real markups node loads our file, and we load what it writes; Slicer rounds the last bit."""
    slicer = pytest.importorskip("slicer")
    from orthoangles.scene import start_host

    points = simulate_spine(1, (300, 150)).points
    points[5] = np.nan
    write_markups(tmp_path / "ours.mrk.json", protocol.landmark_ids, points)
    host = start_host()
    node = host.scene.AddNewNodeByClass("vtkMRMLMarkupsFiducialNode")
    storage = host.scene.AddNewNodeByClass("vtkMRMLMarkupsJsonStorageNode")
    storage.SetFileName(str(tmp_path / "ours.mrk.json"))
    assert storage.ReadData(node)
    assert node.GetNumberOfControlPoints() == 68
    assert node.GetFixedNumberOfControlPoints()
    assert node.GetNthControlPointPositionStatus(5) == slicer.vtkMRMLMarkupsNode.PositionUndefined
    ras = np.array([node.GetNthControlPointPosition(i) for i in range(68)])
    placed = np.isfinite(points).all(axis=1)
    assert np.allclose(ras[placed] * [-1, -1, 1], points[placed], rtol=1e-14, atol=0)
    storage.SetFileName(str(tmp_path / "theirs.mrk.json"))
    assert storage.WriteData(node)
    back = read_markups(tmp_path / "theirs.mrk.json")
    assert back.labels == protocol.landmark_ids
    assert np.allclose(back.points, points, rtol=1e-13, atol=0, equal_nan=True)


def test_the_slicer_example_measures_saves_and_exports(tmp_path, protocol):
    """examples/measure_in_slicer.py, as Slicer's --python-script runs it."""
    pytest.importorskip("slicer")
    images = tmp_path / "images"
    images.mkdir()
    spine = simulate_spine(3, (300, 150))
    spine.write_png(images / "one.png")
    write_markups(images / "one.mrk.json", protocol.landmark_ids, spine.points)
    (images / "bad.png").write_text("no picture")
    script = REPOSITORY / "examples" / "measure_in_slicer.py"
    command = [sys.executable, script, images]
    command += ["--landmarks", images, "--output", tmp_path / "out"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, cwd=tmp_path)
    assert done.returncode == 1, done.stderr
    assert "error: bad.png" in done.stderr
    assert "Cobb angle, largest (AASCE rule):" in done.stdout
    assert (tmp_path / "out" / "one.mrb").stat().st_size > 1000
    dataset = Dataset(tmp_path / "out" / "dataset")
    assert dataset.problems(digests=True) == ()
    (case,) = dataset.cases
    assert np.allclose(dataset.read_points(case, protocol.landmark_ids), spine.points, atol=1e-9)
