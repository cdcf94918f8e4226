"""Other weights into a bundle and back, killed before any file operation, and never a bundle in between."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from support import killed_installs
from support.killed_installs import loaded, small_bundle, whole

from orthoangles.bundle_versions import install, restore
from orthoangles.errors import PredictionError

pytestmark = pytest.mark.unit


@pytest.fixture
def bundles(tmp_path):
    old = small_bundle(tmp_path / "bundle", "old")
    new = small_bundle(tmp_path / "source", "new", old)
    return tmp_path / "bundle", tmp_path / "source", old, new


def kept(bundle):
    return {path.name for path in (bundle / "previous").iterdir() if path.is_dir()}


def test_there_and_back_and_there_again(bundles):
    bundle, source, old, new = bundles
    assert install(bundle, source) == loaded(bundle) == new
    whole(bundle, "new")
    assert kept(bundle) == {old}
    assert restore(bundle) == loaded(bundle) == old
    whole(bundle, "old")
    assert kept(bundle) == {new}
    assert install(bundle, source) == new
    assert install(bundle, source) == new
    assert kept(bundle) == {old}


def test_two_retrainings_are_taken_back_one_by_one(bundles, tmp_path):
    bundle, source, old, new = bundles
    newest = small_bundle(tmp_path / "next", "newest", new)
    install(bundle, source)
    assert install(bundle, tmp_path / "next") == newest
    assert [restore(bundle), restore(bundle)] == [new, old]
    with pytest.raises(PredictionError, match="no earlier weights"):
        restore(bundle)
    whole(bundle, "old")


def test_incomplete_weights_change_nothing(bundles):
    bundle, source, old, _ = bundles
    (source / "models" / "model.pt").write_bytes(b"something else")
    with pytest.raises(PredictionError, match="SHA-256 differs"):
        install(bundle, source)
    assert loaded(bundle) == old
    whole(bundle, "old")


def test_an_acceptance_killed_half_way_can_be_taken_back(bundles, monkeypatch):
    bundle, source, old, _ = bundles
    put = killed_installs.install.__globals__["write_with"]

    def only_weights(path, write):
        if path.name != "model.pt":
            raise KeyboardInterrupt
        put(path, write)

    monkeypatch.setitem(install.__globals__, "write_with", only_weights)
    with pytest.raises(KeyboardInterrupt):
        install(bundle, source)
    monkeypatch.undo()
    assert (bundle / "models" / "model.pt").read_bytes() == (source / "models" / "model.pt").read_bytes()
    assert loaded(bundle) == old
    assert restore(bundle) == old
    whole(bundle, "old")


@pytest.mark.skipif(not hasattr(os, "fork"), reason="children are forked, which this system cannot")
@pytest.mark.parametrize("what", ["install", "restore"])
def test_killed_before_every_single_file_operation(tmp_path, what):
    script = Path(killed_installs.__file__)
    done = subprocess.run([sys.executable, script, tmp_path, what], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    left = json.loads(done.stdout)
    assert left["old"] > 5
    assert left["new"] > 5
