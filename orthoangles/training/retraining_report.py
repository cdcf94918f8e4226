"""What a retraining came to, for people: the verdict, comparison.md and a section of the model card."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from orthoangles.atomic import write_bytes, write_json
from orthoangles.bundle_versions import CARD
from orthoangles.bundle_weights import METADATA, read_metadata
from orthoangles.markdown import between, number, percent, plain, table
from orthoangles.training.comparison import write_section
from orthoangles.training.paired import BETTER, MARGIN, NOT_WORSE, TOO_FEW, UNCLEAR, WORSE
from orthoangles.training.point_metrics import FEWEST_GROUPS

COMPARISON = "comparison.json"

_ON = {"corrected": "corrected cases", "old": "old cases"}


def verdict_of(parts: Mapping[str, Mapping[str, Any]]) -> tuple[bool, str]:
    """Whether the new weights are recommended, and why, in whole sentences; ``parts`` as in comparison.json."""
    if "corrected" not in parts:
        return False, (
            "Too few to tell: all corrected cases are of one person, or of persons whom the network knew, so that "
            "none could be held out. Correct cases of further persons."
        )
    corrected, old = parts["corrected"], parts.get("old")
    told = [_sentence("corrected", corrected)]
    told.append(
        _sentence("old", old) if old else "No old cases were held out: what it may have forgotten is not known."
    )
    fine = corrected["verdict"] in (BETTER, NOT_WORSE)
    kept = old is None or old["verdict"] in (BETTER, NOT_WORSE, TOO_FEW)
    return fine and kept, " ".join([*told, "Recommended." if fine and kept else "Not recommended."])


def _sentence(name: str, part: Mapping[str, Any]) -> str:
    counted = f"{part['cases']} {_ON[name]} of {part['persons']} {'person' if part['persons'] == 1 else 'persons'}"
    said = {
        BETTER: f"On {counted} held out the new weights are better.",
        NOT_WORSE: f"On {counted} held out the new weights are not worse.",
        UNCLEAR: f"On {counted} held out it is not clear that the new weights are not worse: too few, or too alike.",
        WORSE: f"On {counted} held out the new weights are worse.",
        TOO_FEW: f"{counted} held out are too few to tell: it takes {FEWEST_GROUPS} persons.",
    }
    return said[part["verdict"]]


def write_comparison(output: Path, candidate: Path, comparison: Mapping[str, Any]) -> None:
    """Card and metadata of the new bundle, comparison.md, and last comparison.json: then all is there."""
    body = as_markdown(comparison)
    write_section(candidate / CARD, "retrained", f"## Retrained\n\n{_introduction(comparison)}\n\n{body}")
    part = comparison["parts"].get("corrected")
    if part:
        metadata = read_metadata(candidate)
        metadata["eval_metrics"] = plain(
            {
                "held_out_cases": part["cases"],
                "held_out_persons": part["persons"],
                "landmark_error": part["landmarks"]["new"],
                "landmark_error_unit": part["unit"],
                "angle_error_degrees": part["angles"]["new"],
            }
        )
        write_json(candidate / METADATA, metadata)
    write_bytes(output / "comparison.md", f"# New weights beside the present ones\n\n{body}\n".encode())
    write_json(output / COMPARISON, plain(comparison))


def _introduction(comparison: Mapping[str, Any]) -> str:
    plan = comparison["training"]
    counted = {name: len(ids) for name, ids in plan["training"].items()}
    return (
        "What stands above under training and measurements is of the weights that these were fine-tuned from. They "
        f"saw {counted['corrected']} corrected and {counted['old']} old cases by `{plan['config']}`, {plan['steps']} "
        f"steps, {percent(plan['share'])} of what was drawn being corrected. The stated spread was not fitted anew."
    )


def as_markdown(comparison: Mapping[str, Any]) -> str:
    """Verdict and tables."""
    old, new = comparison["old"], comparison["new"]
    parts = [
        f"{new['name']} {new['version']} (weights {new['sha256'][:12]}) beside {old['version']} "
        f"({old['sha256'][:12]}), on cases of persons whom neither was trained on.",
        f"**{comparison['verdict']}**",
    ]
    for name, part in comparison["parts"].items():
        parts += [_heading(name, part), _table(part)]
    parts.append(
        f"Not worse: the upper end of the interval is at most {percent(MARGIN)} of the present error. For research "
        "use only."
    )
    return "\n\n".join(parts)


def _heading(name: str, part: Mapping[str, Any]) -> str:
    return (
        f"**{_ON[name].capitalize()} held out**: {part['cases']} of {part['persons']} person(s), {part['labelled']} "
        f"landmarks. Differences are new minus present; 95 % intervals draw each {part['intervals_over']} anew."
    )


def _table(part: Mapping[str, Any]) -> str:
    rows = [
        _row(f"landmark error, {part['unit']}", part["landmarks"], part["not_found"]),
        _row("error of all angles, degrees", part["angles"]),
        *(_row(f"{name}, degrees", each, each["not_measured"]) for name, each in part["each_angle"].items()),
    ]
    return table(["absolute error", "present", "new", "difference (95 %)", "cases", "missing, present / new"], rows)


def _row(name: str, paired: Mapping[str, Any], missing: Mapping[str, int] | None = None) -> list[str]:
    difference = f"{number(paired['difference'])} ({between(paired['interval'])})"
    missed = f"{missing['old']} / {missing['new']}" if missing else "-"
    return [name, number(paired["old"]), number(paired["new"]), difference, str(paired["cases"]), missed]
