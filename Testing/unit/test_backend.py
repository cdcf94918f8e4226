"""The backend on a real bundle: geometry, refusal, progress, cancellation."""

import hashlib
import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from monai.bundle import ConfigParser, verify_metadata

from orthoangles.errors import ImageError, PredictionCancelled, PredictionError
from orthoangles.images import Image
from orthoangles.paths import models_dir
from orthoangles.predicting import Backend, available_devices, backend_for
from orthoangles.protocols import load_protocol

SHIPPED = models_dir() / "spine_ap_cobb"
BUNDLES = ("spine_ap_cobb", "foot_view", "foot_ap_hallux", "foot_ap", "foot_lateral", "foot_wbct")
TRAINING_CONFIGS = sorted(models_dir().glob("*/configs/train*.json"))


@pytest.fixture(scope="module")
def untrained(tmp_path_factory):
    """The shipped bundle with fresh weights that see vertebrae everywhere: quick, and never without points."""
    folder = tmp_path_factory.mktemp("bundle") / "spine_ap_cobb"
    shutil.copytree(SHIPPED / "configs", folder / "configs")
    parser = ConfigParser()
    parser.read_config(str(folder / "configs" / "inference.json"))
    torch.manual_seed(1)
    network = parser.get_parsed_content("network_def")
    torch.nn.init.normal_(network.centre[-1].weight, std=2.0)
    write_weights(folder, network.state_dict())
    return folder


def write_weights(folder, state):
    """Stores a state dict with its digest in the metadata."""
    weights = folder / "models" / "model.pt"
    weights.parent.mkdir(exist_ok=True)
    torch.save(state, weights)
    metadata = json.loads((folder / "configs" / "metadata.json").read_text())
    metadata["orthoangles"]["weights_sha256"] = hashlib.sha256(weights.read_bytes()).hexdigest()
    (folder / "configs" / "metadata.json").write_text(json.dumps(metadata))


@pytest.fixture(scope="module")
def a_backend(untrained):
    return Backend(untrained, "cpu")


@pytest.fixture
def a_radiograph():
    pixels = np.random.default_rng(0).integers(0, 4096, (1, 400, 180)).astype(np.uint16)
    return Image(pixels, name="noise.png")


def test_prediction_has_a_place_for_every_landmark(a_backend, a_radiograph):
    prediction = a_backend.predict(a_radiograph)
    assert prediction.landmark_ids == load_protocol("spine-ap-cobb").landmark_ids
    assert prediction.points.shape == (68, 3)
    assert np.isfinite(prediction.points).all()
    assert ((prediction.confidence > 0) & (prediction.confidence <= 1)).all()
    assert (prediction.spread > 0).all()
    assert prediction.model.sha256 == hashlib.sha256((a_backend.folder / "models/model.pt").read_bytes()).hexdigest()
    assert prediction.warnings, "noise is no plausible spine"


def test_points_follow_the_image_in_space(a_backend, a_radiograph):
    turn = np.array([[0.0, 0, 1], [1, 0, 0], [0, 1, 0]])
    placed = Image(
        a_radiograph.array, spacing=(0.2, 0.2, 1), origin=(10, -20, 30), direction=turn, spacing_source="test"
    )
    plain, moved = a_backend.predict(a_radiograph), a_backend.predict(placed)
    assert placed.index_points(moved.points) == pytest.approx(a_radiograph.index_points(plain.points), abs=1e-6)
    assert moved.spread == pytest.approx(plain.spread * 0.2)


def test_progress_rises_from_nothing_to_done(a_backend, a_radiograph):
    seen = []
    a_backend.predict(a_radiograph, progress=lambda fraction, message: seen.append((fraction, message)))
    fractions = [fraction for fraction, _ in seen]
    assert fractions == sorted(fractions)
    assert fractions[0] == 0
    assert fractions[-1] == 1
    assert len(fractions) > 20
    assert all(message for _, message in seen)


@pytest.mark.parametrize("after", [0, 5, 40])
def test_cancel_stops_in_the_middle_and_the_backend_stays_usable(a_backend, a_radiograph, after):
    asked = []

    def cancelled():
        asked.append(None)
        return len(asked) > after

    with pytest.raises(PredictionCancelled):
        a_backend.predict(a_radiograph, cancelled=cancelled)
    assert len(asked) == after + 1
    assert a_backend.predict(a_radiograph).points.shape == (68, 3)


def test_other_weights_than_the_metadata_names_are_refused(untrained, tmp_path):
    folder = shutil.copytree(untrained, tmp_path / "copy")
    with (folder / "models" / "model.pt").open("ab") as stream:
        stream.write(b"x")
    with pytest.raises(PredictionError, match="SHA-256 differs"):
        Backend(folder)


def test_weights_of_another_network_are_refused(untrained, tmp_path):
    folder = shutil.copytree(untrained, tmp_path / "copy")
    write_weights(folder, {"weight": torch.zeros(3)})
    with pytest.raises(PredictionError, match="does not fit"):
        Backend(folder)


class Planted:
    """Would run code when unpickled without weights_only."""

    def __reduce__(self):
        return (Path.touch, (Path("planted-by-pickle"),))


def test_weights_that_hold_code_are_refused_and_not_run(untrained, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    folder = shutil.copytree(untrained, tmp_path / "copy")
    write_weights(folder, {"weight": Planted()})
    with pytest.raises(PredictionError):
        Backend(folder)
    assert not Path("planted-by-pickle").exists()


def test_a_bundle_without_weights_or_metadata_says_so(untrained, tmp_path):
    folder = shutil.copytree(untrained, tmp_path / "copy")
    (folder / "models" / "model.pt").unlink()
    with pytest.raises(PredictionError, match="no weights"):
        Backend(folder)
    with pytest.raises(PredictionError, match="no model bundle 'nowhere'"):
        Backend(tmp_path / "nowhere")
    (folder / "configs" / "metadata.json").write_text("{")
    with pytest.raises(PredictionError, match=r"metadata\.json"):
        Backend(folder)


def test_an_unknown_device_is_refused_by_name(untrained):
    assert "cpu" in available_devices()
    with pytest.raises(PredictionError, match="tpu"):
        Backend(untrained, "tpu")


def test_a_volume_is_refused(a_backend):
    volume = Image(np.zeros((20, 64, 64), np.int16), name="ct.nrrd")
    with pytest.raises(ImageError, match=r"ct\.nrrd"):
        a_backend.predict(volume)


def test_the_protocol_names_its_bundle():
    assert load_protocol("spine-ap-cobb").bundle == "spine_ap_cobb"


@pytest.mark.parametrize("bundle", BUNDLES)
def test_shipped_metadata_passes_monai(bundle):
    verify_metadata(
        meta_file=str(models_dir() / bundle / "configs" / "metadata.json"),
        filepath=str(Path(__file__).parents[1] / "support" / "bundle_schema.json"),
    )


@pytest.mark.parametrize("bundle", BUNDLES)
def test_shipped_weights_are_those_of_the_metadata_and_fit_the_network(bundle):
    assert Backend(bundle, "cpu").model.name == bundle


@pytest.mark.parametrize("protocol", ["spine-ap-cobb", "foot-ap-hallux", "foot-ap", "foot-lateral", "foot-wbct"])
def test_a_protocol_names_its_bundle(protocol):
    assert backend_for(load_protocol(protocol), "cpu").protocol.id == protocol


@pytest.mark.parametrize("config", TRAINING_CONFIGS, ids=lambda path: f"{path.parts[-3]} {path.stem}")
def test_every_training_config_can_be_built(config):
    parser = ConfigParser()
    parser.read_config(str(config))
    with torch.device("meta"):
        network = parser.get_parsed_content("network_def")
    schedule = parser.get_parsed_content("schedule")
    assert sum(parameter.numel() for parameter in network.parameters()) > 1e5
    assert 0 < schedule.rate_at(schedule.epochs / 2) <= schedule.rate
    for entry in ("data", "loss"):
        parser.get_parsed_content(entry)
    assert f"'{config.name}'" in parser["run"][0] or config.name == "train.json"
