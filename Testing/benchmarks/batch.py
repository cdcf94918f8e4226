"""A thousand small images, fifty of them broken, in one run of ``measure`` with the shipped network:

    python Testing/benchmarks/batch.py [COUNT] [WORKERS]

Says how many were measured and named, and how much memory each process held as the run went on.
"""

import csv
import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1]))
sys.path.insert(0, str(Path(__file__).parents[2]))

from orthoangles.simulation.spine.drawn import simulate_spine

PATTERNS = 20
SIZE = (300, 150)


def write_images(folder: Path, count: int) -> set[str]:
    """Small drawn spines, each another picture, and one broken file in twenty; the names of those."""
    from PIL import Image as Picture

    spines = [np.asarray(simulate_spine(seed, SIZE).image) for seed in range(PATTERNS)]
    broken = set()
    for k in range(count):
        path = folder / f"{k:04}.png"
        pixels = spines[k % PATTERNS].copy()
        pixels[0, :10] = [int(digit) for digit in f"{k:010}"]
        Picture.fromarray(pixels).save(path)
        if k % 20 == 10:
            break_file(path, k // 20)
            broken.add(path.name)
    return broken


def break_file(path: Path, kind: int) -> None:
    """Empty, words, cut off, one grey value, or something that is no file of pixels."""
    content = path.read_bytes()
    if kind % 5 == 3:
        from PIL import Image as Picture

        Picture.fromarray(np.full(SIZE, 7, np.uint8)).save(path)
    else:
        path.write_bytes(
            (b"", b"words", content[: len(content) // 2], b"", b"\0" * 128 + b"DICM" + b"\0" * 300)[kind % 5]
        )


def processes_of(call: subprocess.Popen) -> list[int]:
    """The call and its workers."""
    children = Path(f"/proc/{call.pid}/task/{call.pid}/children").read_text().split()
    workers = [int(pid) for pid in children if b"spawn_main" in Path(f"/proc/{pid}/cmdline").read_bytes()]
    return [call.pid, *workers]


def resident_mib(pid: int) -> float:
    """Memory of a process."""
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 2**20


def watch(call: subprocess.Popen, output: Path) -> dict[int, list[tuple[int, float]]]:
    """Process -> images finished by all and its memory (MiB), until the call ends."""
    memory: dict[int, list[tuple[int, float]]] = {}
    while call.poll() is None:
        done = len(list((output / ".finished").glob("*.json")))
        try:
            for pid in processes_of(call):
                memory.setdefault(pid, []).append((done, resident_mib(pid)))
        except OSError:
            pass  # A process has just ended.
        time.sleep(1.0)
    return memory


def report(memory: dict[int, list[tuple[int, float]]], count: int) -> None:
    """Memory at each tenth of the run."""
    for number, (_, taken) in enumerate(sorted(memory.items())):
        name = f"worker {number}" if number else "the call"
        tenths = [[mib for done, mib in taken if k * count <= 10 * done < (k + 1) * count] for k in range(10)]
        print(f"{name}: MiB over the run", *(f"{np.median(tenth):.0f}" for tenth in tenths if tenth))


def main() -> None:
    """Run COUNT (1000) images with WORKERS (2)."""
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 1000
    workers = sys.argv[2] if len(sys.argv) > 2 else "2"
    folder = Path(tempfile.mkdtemp())
    images, output = folder / "images", folder / "out"
    images.mkdir()
    broken = write_images(images, count)
    command = [sys.executable, "-m", "orthoangles", "measure", images, "--protocol", "spine-ap-cobb", "--device", "cpu"]
    command += ["--workers", workers, "--output", output]
    start = time.perf_counter()
    with (folder / "log").open("w") as log:
        call = subprocess.Popen([*map(str, command)], stdout=log, stderr=log)
        memory = watch(call, output)
    seconds = time.perf_counter() - start
    with (output / "measurements.csv").open(encoding="utf-8-sig", newline="") as file:
        measured = {row["image"] for row in csv.DictReader(file)}
    with (output / "failures.csv").open(encoding="utf-8-sig", newline="") as file:
        named = {row["image"] for row in csv.DictReader(file)}
    print(f"{len(measured)} measured, {len(named)} named in {seconds:.0f} s by {workers} workers")
    print(f"exit code {call.returncode}; the {len(broken)} broken ones are those that are named: {named == broken}")
    assert named == broken
    assert len(measured) == count - len(broken)
    report(memory, count)
    shutil.rmtree(folder)


if __name__ == "__main__":
    main()
