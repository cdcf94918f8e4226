"""The new weights of a retraining into their bundle, when the user wants them. Needs no torch."""

import json
from pathlib import Path

from orthoangles.bundle_versions import current_digest, install
from orthoangles.errors import PredictionError

# Names of retraining_plan and retraining_report, which load torch.
_PLAN, _COMPARISON, _CANDIDATE = "plan.json", "comparison.json", "bundle"


def accept(output: Path, force: bool = False) -> tuple[Path, str]:
    """Puts the weights of the retraining in ``output`` into its bundle; returns the bundle's folder and their digest.

    Accepting twice is accepting once, and finishes what was killed. Raises PredictionError where the comparison is not
    there, does not recommend them (unless ``force``), or is with other weights than the bundle has now.
    """
    plan, comparison = (_read(output, name) for name in (_PLAN, _COMPARISON))
    bundle = Path(plan["bundle"])
    present, new = current_digest(bundle), comparison["new"]["sha256"]
    if current_digest(output / _CANDIDATE) != new:
        raise PredictionError(
            f"{output.name}: the weights are not those that were compared; start the retraining again"
        )
    if present not in (new, plan["weights_sha256"]):
        raise PredictionError(
            f"bundle '{bundle.name}' has other weights by now than those compared with; retrain from these"
        )
    if not comparison["recommended"] and not force:
        raise PredictionError(f"{comparison['verdict']} Nothing was changed; --force accepts them all the same")
    return bundle, install(bundle, output / _CANDIDATE)


def _read(output: Path, name: str) -> dict:
    try:
        return json.loads((output / name).read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise PredictionError(f"{output.name}: this retraining is not finished; start it again") from error
    except ValueError as error:
        raise PredictionError(f"{output.name}/{name} cannot be read: {error}") from error
