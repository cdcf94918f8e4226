"""How fast feet are simulated: ``python Testing/benchmarks/simulation.py --bones ../shared/data/bones``.

Three parts, printed as one JSON object; without ``--bones`` the procedural bone set is posed.

- ``pairs``: AP and lateral radiographs at training size through the engine of ``simulate foot``, with ``--workers``
  processes. ``per_minute`` counts everything: starting processes, standing up each scanned foot, writing files;
  ``steady_per_minute`` the second half of the cases.
- ``stages``: CPU seconds of one pair in one process, by stage.
- ``projection``: one AP projection of all bones, rasterised, against the same one cast ray by ray through Embree, in
  rounds that take turns so that a busy machine slows both alike. ``ratio`` is how many times longer casting takes.
- ``wbct``: seconds of a whole-foot volume of 0.5 mm voxels.
"""

import argparse
import json
import sys
import tempfile
from pathlib import Path
from time import perf_counter, process_time

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[2]))

from orthoangles.simulation import foot as foot_module
from orthoangles.simulation.anatomy.bones import BoneSet
from orthoangles.simulation.datasets.foot_job import FootJob
from orthoangles.simulation.datasets.simulating import DatasetSimulation
from orthoangles.simulation.foot import FootOptions, simulate_foot
from orthoangles.simulation.pose import standing
from orthoangles.simulation.radiography import radiograph
from orthoangles.simulation.radiography.cameras import Camera
from orthoangles.simulation.radiography.rasterising import path_lengths
from orthoangles.simulation.threads import one_thread
from orthoangles.simulation.tissue import tissue
from orthoangles.simulation.tomography.volume import simulate_wbct
from orthoangles.simulation.tomography.volume_style import VolumeStyle

_FIRST_SEED = 100
_ROUNDS = 3
_STAGES = {"_body": foot_module, "pose_foot": standing, "foot_tissue": tissue, "render_radiograph": radiograph}


def main() -> None:
    """Run and print one JSON object."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--bones", help="folder of a bone library; the procedural bone set without it")
    parser.add_argument("--pairs", type=int, default=60)
    parser.add_argument("--workers", type=int, default=2)
    arguments = parser.parse_args()
    options = FootOptions(bones=arguments.bones)
    summary = {"pairs": _pairs(options, arguments.pairs, arguments.workers)}
    with one_thread():
        summary["stages"], foot = _stages(options)
        summary["projection"] = _projection(foot.posed.bones)
        summary["wbct"] = _wbct(foot)
    print(json.dumps(summary, indent=1))


def _pairs(options: FootOptions, count: int, workers: int) -> dict:
    """A whole run of ``simulate foot``."""
    finished = []
    with tempfile.TemporaryDirectory() as folder:
        start = perf_counter()
        simulation = DatasetSimulation(Path(folder) / "feet", FootJob(options), range(_FIRST_SEED, _FIRST_SEED + count))
        report = simulation.run(workers, progress=lambda _: finished.append(perf_counter()))
        total = perf_counter() - start
    half = count // 2
    return {
        "pairs": count,
        "workers": workers,
        "failed": len(report.failed),
        "seconds": round(total, 1),
        "per_minute": round(60 * count / total, 1),
        "steady_per_minute": round(60 * (count - half) / (finished[-1] - finished[half - 1]), 1),
    }


def _stages(options: FootOptions, count: int = 8) -> tuple[dict, foot_module.SimulatedFoot]:
    """CPU seconds of a pair, by stage; feet that were stood up before are not counted."""
    seeds = range(_FIRST_SEED, _FIRST_SEED + count)
    for seed in seeds:
        simulate_foot(options, seed)
    spent = dict.fromkeys(_STAGES, 0.0)
    originals = {name: getattr(module, name) for name, module in _STAGES.items()}

    def timed(name: str):
        def call(*positional, **named):
            start = process_time()
            try:
                return originals[name](*positional, **named)
            finally:
                spent[name] += process_time() - start

        return call

    try:
        for name, module in _STAGES.items():
            setattr(module, name, timed(name))
        start = process_time()
        feet = [simulate_foot(options, seed) for seed in seeds]
        total = process_time() - start
    finally:
        for name, original in originals.items():
            setattr(_STAGES[name], name, original)
    rejected = sum(foot.parameters["attempt"] for foot in feet)
    told = {name.strip("_"): round(seconds / count, 3) for name, seconds in spent.items()}
    return told | {"all": round(total / count, 3), "rejected_poses": f"{rejected} of {count + rejected}"}, feet[0]


def _projection(bones: BoneSet) -> dict:
    camera = standing.standard_cameras()["ap"]
    meshes = [(bone.vertices, bone.faces) for bone in bones.values()]
    times, images = {"rasterised": [], "cast": []}, {}
    for _ in range(_ROUNDS):
        for name, project in (("rasterised", path_lengths), ("cast", _cast)):
            start = perf_counter()
            images[name] = project(meshes, camera).sum(axis=0)
            times[name].append(perf_counter() - start)
    difference = np.abs(images["cast"] - images["rasterised"])[images["rasterised"] > 1]
    summary = {f"{name}_seconds": round(float(np.median(values)), 3) for name, values in times.items()}
    summary["median_difference_mm"] = round(float(np.median(difference)), 5)
    summary["ratio"] = round(summary["cast_seconds"] / summary["rasterised_seconds"], 1)
    return summary


def _cast(meshes: list, camera: Camera) -> np.ndarray:
    """Path lengths (n, rows, columns) from the crossings of one ray a pixel with each mesh: one sum for each mesh."""
    import trimesh

    rows, columns = np.mgrid[: camera.shape[0], : camera.shape[1]].reshape(2, -1)
    pixels = camera.origin + columns[:, None] * camera.column_step + rows[:, None] * camera.row_step
    directions = pixels - camera.source
    directions /= np.linalg.norm(directions, axis=1, keepdims=True)
    lengths = np.zeros((len(meshes), len(pixels)))
    for length, (vertices, faces) in zip(lengths, meshes, strict=True):
        mesh = trimesh.Trimesh(vertices, faces, process=False)
        # Only rays towards the box about the mesh.
        places = camera.project(vertices)
        (left, top), (right, bottom) = places.min(axis=0) - 1, places.max(axis=0) + 1
        near = np.flatnonzero((columns >= left) & (columns <= right) & (rows >= top) & (rows <= bottom))
        sources = np.broadcast_to(camera.source, (len(near), 3))
        points, ray, face = mesh.ray.intersects_location(sources, directions[near])[:3]
        leaving = np.sign(np.einsum("ij,ij->i", mesh.face_normals[face], directions[near[ray]]))
        np.add.at(length, near[ray], leaving * np.linalg.norm(points - camera.source, axis=1))
    return lengths.reshape(len(meshes), *camera.shape)


def _wbct(foot: foot_module.SimulatedFoot) -> dict:
    made = tissue.foot_tissue(foot.posed, np.random.default_rng(1))
    seconds = []
    for _ in range(_ROUNDS):
        start = perf_counter()
        volume = simulate_wbct(foot.posed, made, np.random.default_rng(1), spacing=0.5, style=VolumeStyle())
        seconds.append(perf_counter() - start)
    return {"voxels": list(volume.array.shape[::-1]), "seconds": round(float(np.median(seconds)), 2)}


if __name__ == "__main__":
    main()
