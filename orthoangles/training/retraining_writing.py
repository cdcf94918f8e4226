"""The bundle that a retraining makes: the present one with new weights, version and record of training."""

import shutil
from collections.abc import Mapping
from datetime import date
from pathlib import Path
from typing import Any

import torch

from orthoangles.atomic import write_json, write_with
from orthoangles.bundle_weights import METADATA, WEIGHTS, file_digest, read_metadata
from orthoangles.training.loop import Trainer
from orthoangles.training.retraining_plan import Plan
from orthoangles.training.running import stored_weight


def write_candidate(
    bundle: Path, folder: Path, trainer: Trainer, plan: Plan, facts: Mapping[str, Mapping[str, Any]]
) -> Path:
    """A complete bundle in ``folder`` with the averaged weights; what is inferred with stays as in ``bundle``.

    ``facts`` are those of the corrected and the old part. Returns ``folder``.
    """
    for name in ("configs", "docs"):
        shutil.copytree(bundle / name, folder / name, dirs_exist_ok=True)
    (folder / "models").mkdir(exist_ok=True)
    state = {name: stored_weight(value) for name, value in trainer.averaged.state_dict().items()}
    write_with(folder / WEIGHTS, lambda path: torch.save(state, path))
    metadata = read_metadata(bundle)
    counted = {name: part["cases"] for name, part in facts.items()}
    # The network's earlier cases stay known: who was learned from then is not unseen now.
    earlier = metadata["orthoangles"].get("training")
    metadata["orthoangles"].update(
        weights_sha256=file_digest(folder / WEIGHTS),
        training={
            "date": date.today().isoformat(),
            "config": plan.config,
            "dataset_sha256": facts["corrected"]["dataset_sha256"],
            "cases": sum(counted.values()),
            "corrected": counted["corrected"],
            "old": counted.get("old", 0),
            "corrected_share": plan.share,
            "folds": 1,
            "held_out_fold": 0,
            "groups": sorted({group for part in facts.values() for group in part["groups"]}),
            "held_out": list(plan.held_out),
            "steps": trainer.step,
            "seconds": round(trainer.seconds),
            "retrained_from": plan.weights_sha256,
            **({"earlier": earlier} if earlier else {}),
        },
    )
    metadata["version"] = _next(metadata["version"])
    metadata["changelog"][metadata["version"]] = f"fine-tuned on {counted['corrected']} corrected cases"
    metadata["eval_metrics"] = {}
    write_json(folder / METADATA, metadata)
    return folder


def _next(version: str) -> str:
    """``0.1.0`` -> ``0.1.1``."""
    *others, last = version.split(".")
    return ".".join([*others, str(int(last) + 1)] if last.isdigit() else [version, "1"])
