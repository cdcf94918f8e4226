"""A tiny bundle for lateral feet, and datasets of drawn feet for it: bright discs at the landmarks."""

import json
import shutil
from pathlib import Path

import numpy as np
import SimpleITK
from support.feet import lateral_foot, on_film, ordered

from orthoangles.annotation.dataset import Dataset
from orthoangles.paths import models_dir
from orthoangles.protocols import load_protocol

PROTOCOL = load_protocol("foot-lateral")
SIZE = (64, 96)
GROUPS = ("known-1", "known-2")
"""Persons that the record of the tiny bundle names as trained on."""


def tiny_bundle(folder: Path) -> Path:
    """The bundle ``foot_lateral`` for small images, as if it had learned from :data:`GROUPS`."""
    shutil.copytree(models_dir() / "foot_lateral" / "configs", folder / "configs")
    shutil.copytree(models_dir() / "foot_lateral" / "docs", folder / "docs")
    for name in ("inference.json", "train_refine.json", "train.json"):
        path = folder / "configs" / name
        config = json.loads(path.read_text())
        config["size"] = list(SIZE)
        if "data" in config:
            config["data"]["packed_size"] = list(SIZE)
            config["schedule"] |= {"batch": 4, "rate": 0.004}
            config["augmentation"] = {"_target_": config["augmentation"]["_target_"], "rotation": 2.0, "mirror": 0.0}
        path.write_text(json.dumps(config))
    shutil.copytree(models_dir() / "foot_lateral" / "models", folder / "models")
    path = folder / "configs" / "metadata.json"
    metadata = json.loads(path.read_text())
    metadata["orthoangles"]["training"] = {"folds": 1, "held_out_fold": 0, "groups": list(GROUPS)}
    path.write_text(json.dumps(metadata))
    return folder


def drawn_feet(folder: Path, persons, each: int = 1, *, seed: int = 0, rejected=(), split="") -> Dataset:
    """``each`` drawn feet of every person; those of the persons ``rejected`` are rejected."""
    store = Dataset(folder)
    with store.adding() as add:
        for number, person in enumerate(persons):
            for k in range(each):
                rng = np.random.default_rng([seed, number, k])
                points = on_film(
                    ordered(PROTOCOL.id, lateral_foot(meary=rng.uniform(-10, 20), pitch=rng.uniform(15, 28)))
                )
                review = {"state": "rejected", "reason": "a hand"} if person in rejected else {"state": "confirmed"}
                add(
                    f"{person.replace('+', '_')}-{k}",
                    image_suffix=".png",
                    write_image=lambda path, points=points: _draw(points, path),
                    protocol=PROTOCOL,
                    points=points,
                    group=person,
                    split=split,
                    provenance={"review": review, "parameters": {"view": {"mm_per_pixel": 0.5}}},
                )
    return store


def _draw(points: np.ndarray, path: Path) -> None:
    rows, columns = 300, 400
    y, x = np.mgrid[:rows, :columns]
    grey = np.full((rows, columns), 30.0)
    for number, (px, py) in enumerate(points[:, :2]):
        grey += (80 + 15 * number) * np.exp(-((x - px) ** 2 + (y - py) ** 2) / (2 * 12.0**2))
    SimpleITK.WriteImage(SimpleITK.GetImageFromArray(np.clip(grey, 0, 255).astype(np.uint8)), str(path))
