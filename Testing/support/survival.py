"""Rounds of killed exports and imports, and what must hold after each."""

import csv
import json
import random
import time
from collections import Counter
from pathlib import Path

import numpy as np
from support.killing import KillableJobs
from support.killing_jobs import COUNT, PROTOCOL, places

from orthoangles.annotation.dataset import Dataset
from orthoangles.images import read_image
from orthoangles.protocols import load_protocol

JOBS = ("export_cases", "write_coco", "write_labelme", "write_table", "import_coco")


class Survival:
    """Kills jobs at random moments in ``folder`` and checks after each that all is readable and nothing is lost."""

    def __init__(self, folder: Path, seed: int) -> None:
        self._folder, self._random = folder, random.Random(seed)
        self.dataset = Dataset(folder / "dataset")
        self.imported = Dataset(folder / "imported")
        self._report = folder / "reported.txt"
        self._value = 0
        self._seconds: dict[str, float] = {}
        self.killed = Counter()
        self.interrupted = 0
        """How many kills left something half done behind: between the first file of a case and the index."""

    def run(self, rounds: int) -> None:
        """``rounds`` kills, the jobs in turn."""
        with KillableJobs() as jobs:
            for job in JOBS:
                start = time.perf_counter()
                jobs.run(job, *self._arguments(job))
                self._seconds[job] = time.perf_counter() - start
                self.check(job)
            while self.killed.total() < rounds:
                job = JOBS[self.killed.total() % len(JOBS)]
                moment = self._random.uniform(0, 1.0) * self._seconds[job]
                before = self._leftovers()
                self.killed[job] += jobs.run(job, *self._arguments(job), kill_after=moment)
                self.interrupted += bool(self._leftovers() - before)
                self.check(job)

    def _leftovers(self) -> set[Path]:
        """Temporary files, and files of a dataset that its index does not name."""
        found = set(self._folder.rglob(".writing-*"))
        for dataset in (self.dataset, self.imported):
            named = {name for case in dataset.cases for name in case.files} if dataset.exists else set()
            found |= {path for path in dataset.folder.glob("*-spine-*") if path.name not in named}
        return found

    def _arguments(self, job: str) -> tuple:
        self._value += 1
        out = self._folder / job
        return {
            "export_cases": (self.dataset.folder, self._value, self._report),
            "write_table": (self.dataset.folder, out / "landmarks.csv", self._report),
            "import_coco": (self._folder / "write_coco", self.imported.folder, self._report),
        }.get(job, (self.dataset.folder, out, self._report))

    def check(self, job: str) -> None:
        """AssertionError where something is unreadable, half, or reported and not there."""
        {
            "export_cases": self._check_dataset,
            "write_coco": self._check_coco,
            "write_labelme": self._check_labelme,
            "write_table": self._check_table,
            "import_coco": self._check_imported,
        }[job]()

    def _reported(self, what: str) -> list[str]:
        lines = self._report.read_text().splitlines() if self._report.exists() else []
        return [line.split()[0] for line in lines if line.endswith(f" {what}")]

    def _check_dataset(self) -> None:
        ids = load_protocol(PROTOCOL).landmark_ids
        assert self.dataset.problems(digests=True) == ()
        stored = {}
        for case in self.dataset.cases:
            stored[case.id] = int(case.provenance["review"]["seconds"])
            assert np.array_equal(self.dataset.read_points(case, ids), places(stored[case.id]))
            assert np.array_equal(self.dataset.read_predicted(case, ids), -places(stored[case.id]))
        lines = self._report.read_text().splitlines()
        for line in lines:
            case_id, what = line.split()
            if what.isdigit():
                assert stored.get(case_id, -1) >= int(what), f"{case_id} was reported as written and is not there"

    def _check_imported(self) -> None:
        assert self.imported.problems(digests=True) == ()
        assert {case.id for case in self.imported.cases} >= set(self._reported("import"))

    def _check_coco(self) -> None:
        content = json.loads((self._folder / "write_coco" / "annotations.json").read_text())
        assert {each["orthoangles"]["case"] for each in content["annotations"]} >= set(self._reported("coco"))
        for image in content["images"]:
            picture = read_image(self._folder / "write_coco" / image["file_name"])
            assert picture.sha256 == image["orthoangles"]["sha256"]

    def _check_labelme(self) -> None:
        folder = self._folder / "write_labelme"
        files = list(folder.glob("*.json"))
        assert {path.stem for path in files} >= set(self._reported("labelme"))
        for path in files:
            content = json.loads(path.read_text())
            assert read_image(folder / content["imagePath"]).sha256 == content["orthoangles"]["image"]["sha256"]
            assert len(content["shapes"]) == 68

    def _check_table(self) -> None:
        with (self._folder / "write_table" / "landmarks.csv").open(newline="") as file:
            rows = list(csv.DictReader(file))
        assert len(rows) == COUNT * 68
        assert {row["case"] for row in rows} >= set(self._reported("csv"))
