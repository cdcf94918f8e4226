"""Every bundle for radiographs can be retrained: a step or two of its own network, and what comes of it loads."""

import json
import shutil

import numpy as np
import pytest
import SimpleITK
import torch
from support.feet import ap_foot, hallux_foot, on_film, ordered

from orthoangles.annotation.dataset import Dataset
from orthoangles.bundle_weights import read_metadata
from orthoangles.paths import models_dir
from orthoangles.predicting import Backend
from orthoangles.protocols import load_protocol
from orthoangles.simulation.spine.drawn import simulate_spine
from orthoangles.training import retraining_training
from orthoangles.training.retraining import retrain

pytestmark = pytest.mark.unit
BUNDLES = ("spine_ap_cobb", "foot_ap", "foot_ap_hallux")


def small(bundle, folder):
    """The shipped bundle for small images."""
    shutil.copytree(models_dir() / bundle, folder, ignore=shutil.ignore_patterns("previous"))
    for path in (folder / "configs").glob("*.json"):
        config = json.loads(path.read_text())
        if path.name == "inference.json" or path.name in ("train.json", "train_refine.json"):
            config["size"] = [128, 64]
            if "data" in config:
                config["data"]["packed_size"] = [128, 64]
                config["data"] |= {"simulated": 3} if "simulated" in config["data"] else {}
            path.write_text(json.dumps(config))
    return folder


def cases(folder, protocol, count, first=0):
    store = Dataset(folder)
    for k in range(first, first + count):
        if protocol.columns:
            spine = simulate_spine(k, (300, 140))
            points, write = spine.points, spine.write_png
        else:
            plane = hallux_foot(20 + k, 10) if protocol.id == "foot-ap-hallux" else None
            plane = plane or ap_foot(hva=20 + k, talocalcaneal=25, coverage=5, mt1_talar=4)
            points = on_film(ordered(protocol.id, plane))
            grey = np.random.default_rng(k).integers(0, 255, (440, 360), dtype=np.uint8)

            def write(path, grey=grey):
                SimpleITK.WriteImage(SimpleITK.GetImageFromArray(grey), str(path))

        store.add_case(
            f"case-{k}", image_suffix=".png", write_image=write, protocol=protocol, points=points, group=f"p-{k}"
        )
    return folder


@pytest.mark.parametrize("bundle", BUNDLES)
def test_a_bundle_is_retrained(bundle, tmp_path, monkeypatch):
    monkeypatch.setattr(retraining_training, "EXPOSURES", 1)
    monkeypatch.setattr(retraining_training, "FEWEST_STEPS", 2)
    folder = small(bundle, tmp_path / bundle)
    protocol = load_protocol(read_metadata(folder)["orthoangles"]["protocol"])
    corrected, old = cases(tmp_path / "corrected", protocol, 4), cases(tmp_path / "old", protocol, 4, first=10)
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        outcome = retrain(folder, [corrected], tmp_path / "out", old=[old])
    finally:
        torch.set_num_threads(threads)
    assert not outcome.recommended
    new = Backend(tmp_path / "out" / "bundle")
    assert new.model.sha256 == outcome.comparison["new"]["sha256"] != Backend(folder).model.sha256
    inference = [(each / "configs" / "inference.json").read_bytes() for each in (folder, tmp_path / "out" / "bundle")]
    assert inference[0] == inference[1]
    training = read_metadata(tmp_path / "out" / "bundle")["orthoangles"]["training"]
    drawn = 3 if protocol.columns else 0
    assert (training["corrected"], training["old"]) == (3, 3 + drawn)
