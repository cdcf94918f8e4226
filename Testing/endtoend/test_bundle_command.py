"""The shipped bundle runs by MONAI's own command."""

import os
import subprocess
import sys

from orthoangles.annotation.dataset import Dataset
from orthoangles.paths import models_dir, resources_dir
from orthoangles.protocols import load_protocol
from orthoangles.simulation.spine.drawn import simulate_spine

BUNDLE = models_dir() / "spine_ap_cobb"


def run_bundle(config, **options):
    """``python -m monai.bundle run`` in the bundle's folder."""
    arguments = [word for name, value in options.items() for word in (f"--{name}", str(value))]
    command = [sys.executable, "-m", "monai.bundle", "run", "--config_file", f"configs/{config}", *arguments]
    environment = {**os.environ, "PYTHONPATH": str(models_dir().parent)}
    return subprocess.run(command, cwd=BUNDLE, env=environment, capture_output=True, text=True, check=False)


def test_inference_measures_an_image(tmp_path):
    sample = resources_dir() / "SampleData" / "spine-ap-sample.png"
    done = run_bundle("inference.json", image=sample, output=tmp_path)
    assert done.returncode == 0, done.stderr[-2000:]
    assert (tmp_path / "spine-ap-sample.measurements.json").is_file()


def test_evaluate_measures_a_dataset(tmp_path):
    protocol = load_protocol("spine-ap-cobb")
    dataset = Dataset(tmp_path / "dataset")
    for seed in (3, 4):
        spine = simulate_spine(seed, (700, 320))
        dataset.add_case(
            f"case-{seed}",
            image_suffix=".png",
            write_image=spine.write_png,
            protocol=protocol,
            points=spine.points,
            group=f"person-{seed}",
        )
    done = run_bundle("evaluate.json", dataset=dataset.folder, output=tmp_path / "figures")
    assert done.returncode == 0, done.stderr[-2000:]
    assert "2 held-out of 2 radiographs" in (tmp_path / "figures" / "summary.md").read_text()
