"""Simulated feet as cases: image, protocol, side, group and points, from a foot of known numbers."""

from types import SimpleNamespace

import numpy as np
import pytest

from orthoangles.annotation.dataset import Dataset
from orthoangles.errors import SimulationError
from orthoangles.protocols import load_protocol
from orthoangles.simulation.datasets import foot_job
from orthoangles.simulation.datasets.foot_job import FootJob
from orthoangles.simulation.datasets.simulating import DatasetSimulation, recipe_digest
from orthoangles.simulation.foot import FootOptions, SimulatedFoot
from orthoangles.simulation.radiography.radiograph import Radiograph
from orthoangles.simulation.tomography.volume import Volume

pytestmark = pytest.mark.unit

ALL = FootOptions(views=("wbct", "lateral", "ap"))


def radiograph(seed, names):
    rng = np.random.default_rng(seed)
    points = {name: rng.uniform([0, 0], [39, 59]) for name in names}
    visible = dict.fromkeys(names, True)
    return Radiograph(rng.integers(0, 255, (60, 40), dtype=np.uint8), points, visible, {"view": "made up"})


@pytest.fixture
def foot(monkeypatch):
    """A foot of known numbers; A1 lies beyond the film, A2 on it but hidden, C1 beyond the volume."""
    ids = {
        name: load_protocol(name).landmark_ids for name in ("foot-ap", "foot-ap-hallux", "foot-lateral", "foot-wbct")
    }
    ap = radiograph(1, {*ids["foot-ap"], *ids["foot-ap-hallux"]})
    ap.points["A1"], ap.visible["A1"] = np.array([39.6, 10.0]), False
    ap.points["A2"], ap.visible["A2"] = np.array([39.4, 59.4]), False
    origin, spacing = np.array([-10.0, 5.0, 100.0]), np.array([0.5, 0.5, 0.8])
    array = np.random.default_rng(2).integers(-1000, 2000, (24, 20, 18), dtype=np.int16)
    inside = {name: origin + spacing * np.random.default_rng(3).uniform(0, 7, 3) for name in ids["foot-wbct"]}
    inside["C1"] = origin + spacing * [17.6, 0, 0]
    scan = Volume(array, spacing, origin, np.eye(3), inside, dict.fromkeys(inside, True), "L", {"kv": 90})
    parameters = {"subject": "z013", "pose": {"angles": {"meary": 3.0}, "joints": {"ankle": 1.0}}}
    made = SimulatedFoot(
        SimpleNamespace(side="L"),
        ap,
        radiograph(4, ids["foot-lateral"]),
        scan,
        "jia+z013",
        ("donor", "z013"),
        44.44,
        parameters,
    )
    monkeypatch.setattr(foot_job, "simulate_foot", lambda options, seed: made)
    return made


@pytest.fixture
def dataset(foot, tmp_path):
    DatasetSimulation(tmp_path / "d", FootJob(ALL), [7]).run()
    return Dataset(tmp_path / "d")


def test_a_foot_becomes_a_case_for_each_protocol_of_its_views(dataset):
    assert dataset.problems() == ()
    assert {case.id: case.protocol for case in dataset.cases} == {
        "simulated-foot-7-ap": "foot-ap",
        "simulated-foot-7-ap-hallux": "foot-ap-hallux",
        "simulated-foot-7-lateral": "foot-lateral",
        "simulated-foot-7-wbct": "foot-wbct",
    }
    ap, hallux, lateral, _ = (dataset.image_path(case) for case in dataset.cases)
    assert ap.samefile(hallux)
    assert not ap.samefile(lateral)


def test_images_and_points_come_back_as_they_were_made(dataset, foot):
    for case, view in zip(dataset.cases, (foot.ap, foot.ap, foot.lateral), strict=False):
        image = dataset.read_image(case)
        assert np.array_equal(image.array[0], view.image)
        assert (image.laterality, image.modality, image.patient_age) == ("L", "DX", 44.4)
        ids = load_protocol(case.protocol).landmark_ids
        for name, point in zip(ids, dataset.read_points(case, ids), strict=True):
            if name != "A1":
                assert point.tolist() == [*view.points[name], 0.0]
    scan = dataset.cases[3]
    image = dataset.read_image(scan)
    assert np.array_equal(image.array, foot.wbct.array)
    assert np.allclose(image.origin, foot.wbct.origin)
    assert np.allclose(image.spacing, foot.wbct.spacing)
    ids = load_protocol("foot-wbct").landmark_ids
    points = dict(zip(ids, dataset.read_points(scan, ids), strict=True))
    assert all(np.allclose(points[name], foot.wbct.points[name]) for name in ids if name != "C1")
    assert np.isnan(points["C1"]).all()


def test_what_is_off_the_film_is_unset_and_what_cannot_be_seen_is_named(dataset):
    ids = load_protocol("foot-ap").landmark_ids
    points = dict(zip(ids, dataset.read_points(dataset.cases[0], ids), strict=True))
    assert np.isnan(points["A1"]).all()
    assert points["A2"].tolist() == [39.4, 59.4, 0.0]
    assert dataset.cases[0].provenance["parameters"]["hidden"] == ["A1", "A2"]
    assert dataset.cases[1].provenance["parameters"]["hidden"] == []


def test_all_parameters_stand_in_the_first_case_and_the_angles_in_each(dataset, foot):
    first, *others = (case.provenance["parameters"] for case in dataset.cases)
    assert first["foot"] == foot.parameters
    for other in others:
        assert other["foot"] == {"as_in": "simulated-foot-7-ap", "pose": {"angles": {"meary": 3.0}}}
    assert dataset.cases[3].provenance["parameters"]["view"] == {"kv": 90}


def test_feet_of_code_are_a_group_each_and_feet_of_people_theirs(foot, tmp_path, monkeypatch):
    job = FootJob(FootOptions())
    (tmp_path / "a").mkdir()
    assert {(case.group, case.persons) for case in job(7, tmp_path / "a")} == {("", ())}
    monkeypatch.setattr(foot_job, "foot_pool", lambda *_: None)
    (tmp_path / "b").mkdir()
    cases = FootJob(FootOptions(bones="somewhere"))(7, tmp_path / "b")
    assert {(case.group, case.persons) for case in cases} == {("jia+z013", ("donor", "z013"))}


def test_whatever_is_asked_changes_the_recipe_but_not_where_the_bones_lie(tmp_path, monkeypatch):
    monkeypatch.setattr(foot_job, "foot_pool", lambda *_: None)
    digests = set()
    for place in ("here", "there"):
        (tmp_path / place).mkdir()
        (tmp_path / place / "manifest.json").write_text('{"folders": {}}')
        digests.add(recipe_digest(FootJob(FootOptions(bones=str(tmp_path / place)))))
    assert len(digests) == 1
    asked = [
        FootOptions(),
        FootOptions(views=("ap",)),
        FootOptions(angles={"meary": 5}),
        FootOptions(distribution="clinic"),
        FootOptions(plain=True),
        FootOptions(sizes={"ap": (256, 128), "lateral": (256, 256)}),
    ]
    digests |= {recipe_digest(FootJob(options)) for options in asked}
    assert len(digests) == 7


def test_bones_that_are_not_there_are_said_before_any_work(tmp_path):
    with pytest.raises(SimulationError, match=r"has no manifest\.json"):
        FootJob(FootOptions(bones=str(tmp_path)))
