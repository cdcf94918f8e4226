"""A real retraining of a small network: it learns, stops and goes on, and changes nothing until it is accepted."""

import json
import os
import shutil
import signal

import pytest
import torch
from support.retrained import GROUPS, drawn_feet, tiny_bundle

from orthoangles.annotation.locking import folder_lock
from orthoangles.bundle_versions import current_digest, restore
from orthoangles.bundle_weights import read_metadata
from orthoangles.errors import DatasetError, PredictionError
from orthoangles.predicting import Backend
from orthoangles.training import retraining_training
from orthoangles.training.accepting import accept
from orthoangles.training.held_out import held_out
from orthoangles.training.retraining import retrain

pytestmark = pytest.mark.unit
PEOPLE = [f"person-{k}" for k in range(12)]


@pytest.fixture(scope="module", autouse=True)
def short():
    """Steps enough to learn to find discs."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(retraining_training, "EXPOSURES", 12)
        patch.setattr(retraining_training, "FEWEST_STEPS", 40)
        threads = torch.get_num_threads()
        torch.set_num_threads(1)
        yield
        torch.set_num_threads(threads)


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    folder = tmp_path_factory.mktemp("retraining")
    tiny_bundle(folder / "tiny")
    drawn_feet(folder / "corrected", PEOPLE, rejected=PEOPLE[:1])
    drawn_feet(folder / "old", [*GROUPS, "stranger"], 2, seed=5)
    return folder


def files(bundle):
    return {path: path.read_bytes() for path in bundle.rglob("*") if path.is_file()}


def retrained(place, output, report=lambda report: None):
    return retrain(place / "tiny", [place / "corrected"], output, old=[place / "old"], report=report)


@pytest.fixture(scope="module")
def run(place):
    """The run in one go, its outcome, its reports; and the files of the bundle before."""
    before, reports = files(place / "tiny"), []
    outcome = retrained(place, place / "out", reports.append)
    return outcome, reports, before


@pytest.fixture
def copy(place, run, tmp_path):
    """Bundle and finished run of this test alone."""
    shutil.copytree(place / "tiny", tmp_path / "tiny")
    shutil.copytree(place / "out", tmp_path / "out")
    plan = json.loads((tmp_path / "out" / "plan.json").read_text())
    (tmp_path / "out" / "plan.json").write_text(json.dumps(plan | {"bundle": str(tmp_path / "tiny")}))
    return tmp_path


def test_it_learns_and_says_so(run, place):
    outcome, _, _ = run
    part = outcome.comparison["parts"]["corrected"]
    assert (part["cases"], part["persons"]) == (5, 5)
    assert part["landmarks"]["new"] < 0.5 * part["landmarks"]["old"]
    assert outcome.recommended
    written = json.loads((place / "out" / "comparison.json").read_text())
    assert written["recommended"] is True
    assert outcome.verdict in (place / "out" / "comparison.md").read_text()


def test_the_bundle_stays_as_it_was(run, place):
    assert files(place / "tiny") == run[2]


def test_the_record_says_who_was_learned_from_and_who_was_not(run, place):
    training = read_metadata(place / "out" / "bundle")["orthoangles"]["training"]
    assert set(training["held_out"]).isdisjoint(training["groups"])
    assert PEOPLE[0] not in (*training["held_out"], *training["groups"])
    assert training["corrected"] == 6
    assert training["old"] == 4
    assert training["corrected_share"] == 0.6
    assert training["earlier"]["groups"] == list(GROUPS)
    assert training["retrained_from"] == current_digest(place / "tiny")
    unseen = held_out("foot-lateral", [place / "corrected", place / "old"], training)
    assert {case.group for _, case in unseen} == set(training["held_out"])
    assert "stranger" in training["held_out"]


def test_the_card_and_the_version_are_new(run, place):
    metadata = read_metadata(place / "out" / "bundle")
    assert metadata["version"] == "0.1.1"
    assert metadata["eval_metrics"]["held_out_persons"] == 5
    card = (place / "out" / "bundle" / "docs" / "README.md").read_text()
    assert "## Retrained" in card
    assert run[0].verdict in card


def test_progress_rises_through_the_stages(run):
    reports = run[1]
    assert list(dict.fromkeys(report.stage for report in reports)) == ["preparing", "training", "comparing"]
    fractions = [report.fraction for report in reports]
    assert fractions == sorted(fractions)
    assert fractions[-1] == 1
    assert any(report.seconds_left for report in reports)


def test_stopped_and_started_again_it_ends_with_the_same_weights(run, place, tmp_path):
    reports = []

    def stop(report):
        reports.append(report)
        if report.stage == "training" and report.fraction > 0.3:
            os.kill(os.getpid(), signal.SIGTERM)

    output = tmp_path / "out"
    with pytest.raises(KeyboardInterrupt):
        retrained(place, output, stop)
    stopped_at = torch.load(output / "checkpoint.pt", weights_only=True)["step"]
    assert stopped_at > 5
    assert not (output / "comparison.json").exists()
    with pytest.raises(PredictionError, match="not finished"):
        accept(output)
    again = []
    outcome = retrained(place, output, again.append)
    first = next(report for report in again if report.stage == "training")
    assert f"Step {stopped_at + 1} of" in first.message
    assert outcome.recommended
    states = [
        torch.load(folder / "bundle" / "models" / "model.pt", weights_only=True) for folder in (output, place / "out")
    ]
    for name, value in states[0].items():
        assert torch.allclose(value.float(), states[1][name].float(), rtol=1e-2, atol=1e-2), name
    assert signal.getsignal(signal.SIGTERM) == signal.SIG_DFL


def test_accepted_and_restored(copy):
    bundle, output = copy / "tiny", copy / "out"
    old = current_digest(bundle)
    folder, new = accept(output)
    assert folder == bundle
    assert Backend(bundle).model.sha256 == new != old
    assert (bundle / "previous" / old / "models" / "model.pt").is_file()
    assert accept(output) == (folder, new)
    assert restore(bundle) == old
    assert Backend(bundle).model.sha256 == old


def test_weights_that_are_not_recommended_take_force(copy):
    path = copy / "out" / "comparison.json"
    comparison = json.loads(path.read_text())
    path.write_text(json.dumps(comparison | {"recommended": False, "verdict": "On 5 cases they are worse."}))
    with pytest.raises(PredictionError, match=r"On 5 cases they are worse. Nothing was changed; --force"):
        accept(copy / "out")
    accept(copy / "out", force=True)
    assert current_digest(copy / "tiny") == comparison["new"]["sha256"]


def test_other_weights_in_the_bundle_are_not_replaced(copy):
    path = copy / "out" / "plan.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"weights_sha256": "0" * 64}))
    with pytest.raises(PredictionError, match="other weights by now"):
        accept(copy / "out")


def test_changed_cases_need_another_folder(run, place, tmp_path):
    shutil.copytree(place / "out", tmp_path / "out")
    drawn_feet(tmp_path / "corrected", PEOPLE[:11])
    with pytest.raises(PredictionError, match="choose another --output"):
        retrain(place / "tiny", [tmp_path / "corrected"], tmp_path / "out", old=[place / "old"])


def test_a_finished_run_started_again_does_nothing(run, place):
    before = files(place / "out")
    again = retrained(place, place / "out")
    assert (again.recommended, again.verdict) == (run[0].recommended, run[0].verdict)
    assert files(place / "out") == before


def test_two_at_once_in_one_folder_are_refused(place, tmp_path):
    with folder_lock(tmp_path), pytest.raises(DatasetError, match="another program is writing"):
        retrained(place, tmp_path)
    assert not (tmp_path / "plan.json").exists()


def test_bundles_and_configs_that_do_not_fit_are_refused(place, tmp_path):
    with pytest.raises(PredictionError, match="finds no landmarks"):
        retrain("foot_view", [place / "corrected"], tmp_path / "a")
    with pytest.raises(PredictionError, match="has no training config"):
        retrain(place / "tiny", [place / "corrected"], tmp_path / "b", config="none.json")
    with pytest.raises(PredictionError, match="trains another network"):
        retrain(place / "tiny", [place / "corrected"], tmp_path / "c", config="train_hih.json")
