"""Kills a real, small retraining, acceptance and restoration at random moments: ``retraining_kills.py [200]``.

After each kill the bundle must load, what the run has written must be readable or named as unfinished, and the next
start must go on; now and then one is let through to the end. Prints where it was struck.
"""

import json
import os
import random
import shutil
import signal
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

import torch
from support.retrained import GROUPS, drawn_feet, tiny_bundle

from orthoangles.bundle_versions import current_digest, restore
from orthoangles.errors import PredictionError
from orthoangles.predicting import Backend
from orthoangles.training import retraining_training
from orthoangles.training.accepting import accept
from orthoangles.training.retraining import retrain


class Rounds:
    """Kills in ``folder``; ``struck`` counts in which part of the work."""

    def __init__(self, folder: Path, seed: int = 0) -> None:
        self.bundle, self.output, self.note = tiny_bundle(folder / "tiny"), folder / "run", folder / "part"
        self.corrected = drawn_feet(folder / "corrected", [f"person-{k}" for k in range(10)]).folder
        self.old = drawn_feet(folder / "old", GROUPS, 2, seed=5).folder
        self.first = current_digest(self.bundle)
        self.random, self.struck, self.resumed = random.Random(seed), Counter(), 0

    def work(self) -> None:
        """Once through: retrain, accept, restore."""

        def report(stage) -> None:
            self.note.write_text(stage.stage)

        if current_digest(self.bundle) != self.first:
            restore(self.bundle)
        retrain(self.bundle, [self.corrected], self.output, old=[self.old], report=report)
        self.note.write_text("accepting")
        for _ in range(5):
            accept(self.output, force=True)
            restore(self.bundle)

    def attempt(self, seconds: float | None) -> float:
        """Work in a child, killed after ``seconds``; how long it took."""
        self.note.write_text("starting")
        started = time.perf_counter()
        child = os.fork()
        if child == 0:
            try:
                # The bars of the packing.
                os.dup2(os.open(os.devnull, os.O_WRONLY), 2)
                self.work()
                os._exit(0)
            finally:
                os._exit(1)
        if seconds is not None:
            time.sleep(seconds)
            os.kill(child, signal.SIGKILL)
        code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        if code == -signal.SIGKILL:
            self.struck[self.note.read_text() or "writing the note"] += 1
        else:
            assert code == 0, "the work failed"
        return time.perf_counter() - started

    def check(self) -> None:
        """AssertionError, or the error itself, where something cannot be read."""
        assert Backend(self.bundle).model.sha256 in self.digests()
        for name in ("plan.json", "comparison.json"):
            if (self.output / name).exists():
                json.loads((self.output / name).read_text())
        if (self.output / "checkpoint.pt").exists():
            self.resumed += torch.load(self.output / "checkpoint.pt", weights_only=True)["step"] > 0
        if (self.output / "training.jsonl").exists():
            for line in (self.output / "training.jsonl").read_text().splitlines():
                json.loads(line)
        try:
            Backend(self.output / "bundle")
        except PredictionError:
            assert not (self.output / "comparison.json").exists(), "compared and not whole"

    def digests(self) -> set[str]:
        """Weights that the bundle may have."""
        file = self.output / "comparison.json"
        return {self.first} | ({json.loads(file.read_text())["new"]["sha256"]} if file.exists() else set())

    def run(self, kills: int) -> None:
        """``kills`` of them."""
        seconds = self.attempt(None)
        print(f"Once through takes {seconds:.1f} s.", flush=True)
        while self.struck.total() < kills:
            self.attempt(self.random.uniform(0, seconds))
            self.check()
            if self.struck.total() % 20 == 0:
                print(f"{self.struck.total()} kills: {dict(self.struck)}", flush=True)
            if self.random.random() < 0.15:
                self.attempt(None)
                self.check()
                assert current_digest(self.bundle) == self.first
                shutil.rmtree(self.output)
                shutil.rmtree(self.bundle / "previous", ignore_errors=True)


def main() -> None:
    torch.set_num_threads(1)
    retraining_training.EXPOSURES, retraining_training.FEWEST_STEPS = 4, 12
    retraining_training._SAVE_SECONDS = 0.2
    with tempfile.TemporaryDirectory() as folder:
        rounds = Rounds(Path(folder))
        rounds.run(int(sys.argv[1]) if len(sys.argv) > 1 else 200)
    print(f"{rounds.struck.total()} kills, all readable: {dict(rounds.struck)}; {rounds.resumed} with a checkpoint.")


if __name__ == "__main__":
    main()
