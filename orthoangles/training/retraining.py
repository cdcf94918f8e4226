"""Fine-tuning of a bundle on corrected cases, beside its present weights: nothing in the bundle changes here.

What a run writes lies in its output folder: ``plan.json`` (who is held out, how many steps), ``data`` (packed cases),
``checkpoint.pt``, ``training.jsonl``, ``bundle`` (a complete bundle with the new weights) and, last of all,
``comparison.json`` and ``comparison.md``. Started again it goes on where it was; where all is there, nothing is done
again.
"""

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from orthoangles.annotation.dataset import Dataset
from orthoangles.annotation.locking import folder_lock
from orthoangles.bundle_weights import read_metadata, weights_of
from orthoangles.errors import PredictionError
from orthoangles.predicting import Backend, bundle_folder
from orthoangles.protocols import load_protocol
from orthoangles.training.memory import keep_freed_memory
from orthoangles.training.paired import compare, read_cases
from orthoangles.training.retraining_plan import Plan, read_plan
from orthoangles.training.retraining_report import COMPARISON, verdict_of, write_comparison
from orthoangles.training.retraining_split import Split, split_persons
from orthoangles.training.retraining_training import FineTuning
from orthoangles.training.retraining_writing import write_candidate
from orthoangles.training.stages import StageReport, Stages, Stop

_SHARES = {"preparing": 4.0, "training": 80.0, "comparing": 16.0}
"""Of the time, roughly, on a processor."""


@dataclass(frozen=True)
class Outcome:
    """What came of a run: ``comparison`` as in comparison.json, ``recommended`` whether the new weights may replace."""

    output: Path
    recommended: bool
    verdict: str
    comparison: dict[str, Any]


def retrain(
    bundle: str | Path,
    corrected: Sequence[Path],
    output: Path,
    *,
    old: Sequence[Path] = (),
    minutes: float | None = None,
    config: str = "",
    report: Callable[[StageReport], None] = lambda report: None,
) -> Outcome:
    """Fine-tunes ``bundle`` from its present weights and compares both on persons held out.

    Args:
        bundle: folder or name of a landmark bundle.
        corrected: folders of datasets with corrected cases, which are drawn more often
            (:data:`orthoangles.training.mixing.CORRECTED_SHARE`).
        old: folders of datasets that the network was trained on before.
        output: folder of this run; goes on with what lies there.
        minutes: length of the training; default: every corrected case some forty times.
        config: one of the bundle's training configs; default ``train_refine.json``, else ``train.json``.
        report: told how far it is.

    A stop (SIGINT, SIGTERM) raises KeyboardInterrupt after the checkpoint is written. Raises DatasetError and
    PredictionError where the datasets or the bundle cannot be used, or ``output`` is of another retraining.
    """
    output.mkdir(parents=True, exist_ok=True)
    with Stop() as stop, folder_lock(output, timeout=1):
        run = _Run(bundle, corrected, old, output, config, Stages(_SHARES, report), stop)
        return run(minutes)


class _Run:
    def __init__(
        self,
        bundle: str | Path,
        corrected: Sequence[Path],
        old: Sequence[Path],
        output: Path,
        config: str,
        stages: Stages,
        stop: Stop,
    ) -> None:
        self.bundle, self.output = bundle_folder(bundle).resolve(), output
        self.metadata = read_metadata(self.bundle)
        named = self.metadata["orthoangles"]["protocol"]
        if not named:
            raise PredictionError(f"bundle '{self.metadata['name']}' finds no landmarks; it cannot be retrained so")
        self.protocol = load_protocol(named)
        self.weights, self.digest = weights_of(self.bundle, self.metadata)
        self.corrected, self.old = [Dataset(folder) for folder in corrected], [Dataset(folder) for folder in old]
        self.config = config or self._default_config()
        self.stages, self.stop = stages, stop

    def _default_config(self) -> str:
        refined = self.bundle / "configs" / "train_refine.json"
        return refined.name if refined.is_file() else "train.json"

    def __call__(self, minutes: float | None) -> Outcome:
        keep_freed_memory()
        self.stages("preparing", 0.0, "Parting the persons")
        record = self.metadata["orthoangles"].get("training")
        split = split_persons(self.corrected, self.old, record, self.protocol.id)
        plan = self._plan(split)
        if (finished := self._finished()) is not None:
            return finished
        training = FineTuning(self.bundle, self.config, self.protocol, self.weights, self.output)
        facts = training.prepare(self.corrected, self.old, split, self.stages)
        plan = training.planned(plan, minutes, self.stages)
        trainer = training.run(plan, minutes, self.stages, self.stop)
        candidate = write_candidate(self.bundle, self.output / "bundle", trainer, plan, facts)
        comparison = self._compared(candidate, split, plan)
        recommended, verdict = verdict_of(comparison["parts"])
        comparison |= {"recommended": recommended, "verdict": verdict}
        write_comparison(self.output, candidate, comparison)
        self.stages("comparing", 1.0, verdict)
        return Outcome(self.output, recommended, verdict, comparison)

    def _finished(self) -> Outcome | None:
        """What came of a run that is complete already; the plan is known to be the same."""
        path = self.output / COMPARISON
        if not path.is_file():
            return None
        comparison = json.loads(path.read_text(encoding="utf-8"))
        self.stages("comparing", 1.0, comparison["verdict"])
        return Outcome(self.output, comparison["recommended"], comparison["verdict"], comparison)

    def _plan(self, split: Split) -> Plan:
        wanted = Plan.of(self.bundle, self.digest, self.config, self.corrected, self.old, split)
        stored = read_plan(self.output)
        if stored is None:
            return wanted
        if stored.same_as(wanted):
            return stored
        raise PredictionError(
            f"{self.output.name} holds a retraining of other cases, another config or other weights; choose another "
            "--output or delete it"
        )

    def _compared(self, candidate: Path, split: Split, plan: Plan) -> dict[str, Any]:
        backends = [Backend(self.bundle), Backend(candidate)]
        if backends[0].model.sha256 != plan.weights_sha256:
            raise PredictionError("the bundle's weights were replaced meanwhile; start the retraining anew")
        of = sum(len(cases) for cases in split.testing.values()) * len(backends)
        done, parts = 0, {}
        for name, cases in split.testing.items():
            if not cases:
                continue
            readings = []
            for backend, what in zip(backends, ("present", "new"), strict=True):

                def advance(number: int, before: int = done, what: str = what) -> None:
                    self.stages("comparing", 0.99 * (before + number) / of, f"Measuring with the {what} weights")

                readings.append(read_cases(backend, cases, advance))
                done += len(cases)
            parts[name] = compare(*readings, backends[0], split.family_of)
        models = {which: vars(each.model) for which, each in zip(("old", "new"), backends, strict=True)}
        return {**models, "protocol": self.protocol.id, "training": plan.as_json(), "parts": parts}
