"""What a retraining is of, and who is held out: written once, so that going on is going on with the same."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from orthoangles.annotation.dataset import Dataset
from orthoangles.atomic import write_json
from orthoangles.errors import PredictionError
from orthoangles.training.retraining_split import Split

PLAN = "plan.json"


@dataclass(frozen=True)
class Plan:
    """``bundle`` folder and digest of its weights, ``config``; ``datasets`` digest of each; ``held_out`` persons;
    ``training`` and ``testing`` ids of cases, by part; ``steps`` 0 until they are planned.
    """

    bundle: str
    weights_sha256: str
    config: str
    datasets: Mapping[str, Sequence[str]]
    held_out: Sequence[str]
    training: Mapping[str, Sequence[str]]
    testing: Mapping[str, Sequence[str]]
    share: float = 1.0
    steps: int = 0

    @classmethod
    def of(
        cls, bundle: Path, digest: str, config: str, corrected: Sequence[Dataset], old: Sequence[Dataset], split: Split
    ) -> "Plan":
        """A plan without steps."""
        return cls(
            str(bundle),
            digest,
            config,
            {"corrected": [_content(each) for each in corrected], "old": [_content(each) for each in old]},
            sorted(split.held_out),
            *(
                {name: [case.id for _, case in cases] for name, cases in part.items()}
                for part in (split.training, split.testing)
            ),
        )

    def same_as(self, other: "Plan") -> bool:
        """Whether both are of the same cases, weights and config."""
        return replace(self, share=1.0, steps=0) == replace(other, share=1.0, steps=0)

    def as_json(self) -> dict[str, Any]:
        """For plan.json and the record of the new weights."""
        return asdict(self)


def read_plan(output: Path) -> Plan | None:
    """The plan in ``output``, None where there is none; PredictionError where it cannot be read."""
    path = output / PLAN
    if not path.is_file():
        return None
    try:
        return Plan(**json.loads(path.read_text(encoding="utf-8")))
    except (ValueError, TypeError) as error:
        raise PredictionError(f"{output.name}/{PLAN} cannot be read: {error}") from error


def write_plan(output: Path, plan: Plan) -> None:
    """Writes plan.json, whole or not at all."""
    write_json(output / PLAN, plan.as_json())


def _content(dataset: Dataset) -> str:
    """Hex SHA-256 of what is in a dataset: a corrected or rejected case makes it another."""
    lines = (
        f"{case.id}\t{case.group}\t{case.protocol}\t{case.split}\t{case.revision}\t{case.rejected}"
        for case in dataset.cases
    )
    return hashlib.sha256("\n".join(sorted(lines)).encode()).hexdigest()
