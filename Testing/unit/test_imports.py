"""What importing the package costs, and what it may not bring along: told by fresh child processes."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.unit
HOME = Path(__file__).parents[2]
PACKAGE = HOME / "orthoangles"
HEAVY = (
    "slicer",
    "vtk",
    "vtkmodules",
    "torch",
    "monai",
    "PySide6",
    "qt",
    "PythonQt",
    "SimpleITK",
    "scipy",
    "matplotlib",
    "trimesh",
    "skimage",
    "PIL",
)
MAY_IMPORT = ("scene", "networks", "training", "losses", "heatmaps")

_PROBE = """
import importlib, json, sys, time
sys.path.insert(0, sys.argv[1])
import numpy
heavy = set(sys.argv[3].split(","))
report = {}
for name in sys.argv[2].split(","):
    before = set(sys.modules)
    start = time.perf_counter()
    importlib.import_module(name)
    seconds = time.perf_counter() - start
    new = {module.split(".")[0] for module in set(sys.modules) - before}
    report[name] = {"seconds": seconds, "heavy": sorted(heavy & new)}
print(json.dumps(report))
"""


def imported(*modules):
    """Of each of ``modules``, imported in turn in one fresh interpreter: its seconds and the heavy things it brings."""
    command = [sys.executable, "-c", _PROBE, str(HOME), ",".join(modules), ",".join(HEAVY)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def module_names():
    files = sorted(PACKAGE.rglob("*.py"))
    names = [".".join(file.relative_to(HOME).with_suffix("").parts) for file in files]
    return [name.removesuffix(".__init__") for name in names if not name.endswith("__main__")]


def room(name):
    parts = name.split(".")
    return parts[1] if len(parts) > 1 else ""


LIGHT = [name for name in module_names() if room(name) not in MAY_IMPORT]


def test_the_package_imports_in_milliseconds():
    assert min(imported("orthoangles")["orthoangles"]["seconds"] for _ in range(3)) < 0.05


def test_modules_outside_the_heavy_rooms_bring_nothing_heavy():
    found = imported(*LIGHT)
    assert {name: each["heavy"] for name, each in found.items() if each["heavy"]} == {}


def test_modules_outside_the_heavy_rooms_import_in_milliseconds():
    # The best of three, and room for a busy machine: what is heavy costs half a second and more.
    runs = [imported(*LIGHT) for _ in range(3)]
    slow = {name: min(run[name]["seconds"] for run in runs) for name in LIGHT}
    assert {name: seconds for name, seconds in slow.items() if seconds > 0.15} == {}


def in_rooms(*rooms):
    """What each module of ``rooms`` brings that none before it has brought; all in one fresh interpreter."""
    return {
        name: set(each["heavy"]) for name, each in imported(*(n for n in module_names() if room(n) in rooms)).items()
    }


def test_the_scene_brings_nothing_but_slicer():
    assert {
        name: brought for name, brought in in_rooms("scene").items() if brought - {"slicer", "vtk", "vtkmodules"}
    } == {}


def test_the_rooms_of_torch_leave_slicer_and_qt_out():
    # What torch and MONAI bring themselves is theirs.
    others = {"slicer", "vtk", "vtkmodules", "PySide6", "qt", "PythonQt"}
    found = in_rooms(*(name for name in MAY_IMPORT if name != "scene"))
    assert {name: brought for name, brought in found.items() if brought & others} == {}


def test_every_module_belongs_to_a_room_that_exists():
    for heavy in MAY_IMPORT:
        assert (PACKAGE / heavy).is_dir() or (PACKAGE / f"{heavy}.py").is_file(), heavy
    assert len(LIGHT) > 10
