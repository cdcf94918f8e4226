"""Whether a network's angles on real lateral radiographs tell flat feet from others, and overlays to look at.

    python tools/real_laterals.py --bundle foot_lateral --data ../shared/data/foot_lateral --out real \
        --results docs/RESULTS.md
    python tools/real_laterals.py --bundle foot_ap --look-at ../shared/data/foot_ap --out real-ap

``--data`` holds ``images`` and ``labels.json`` (image, source, patient, pes_planus, not_pes_planus). The public images
are feet stretched to a square: their angles are wrong in size, so no threshold holds, but the order of the pitch is
kept, and nearly that of Meary's angle, and an area under the curve needs only the order. Some images are augmented
copies (mirrored, turned a little, other greys) of one source: the median over the copies of a source is what counts.
Sources that carry both labels are left out. Nothing is fitted: the scores are Meary's angle, minus the pitch, and
Meary's angle minus the pitch. Writes images.csv, sources.csv, summary.json, sheet.png (evenly from both labels) and
doubtful.png (lowest confidence) to ``--out``.
"""

import argparse
import csv
import json
import sys
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from tqdm import tqdm

from orthoangles.atomic import write_json
from orthoangles.errors import ImageError, PredictionError
from orthoangles.images import Image, read_image
from orthoangles.measuring import MeasurementResult, measure
from orthoangles.predictions import Prediction
from orthoangles.training import point_metrics as metrics
from orthoangles.training.landmark_tables import between, number, plain, table

SCORES: Mapping[str, Callable[[float, float], float]] = {
    "Meary": lambda meary, pitch: meary,
    "- pitch": lambda meary, pitch: -pitch,
    "Meary - pitch": lambda meary, pitch: meary - pitch,
}
"""Higher means flatter; of Meary's angle and the calcaneal pitch, degrees. Fixed before any image was measured."""
SUFFIXES = {".png", ".jpg", ".jpeg"}


class Measured(NamedTuple):
    """One image as the network sees it; ``reason`` says why there is nothing, where there is nothing."""

    image: Image | None
    prediction: Prediction | None
    result: MeasurementResult | None
    reason: str = ""

    def value(self, name: str) -> float:
        """A measurement in degrees; NaN where there is none."""
        value = self.result.by_id(name).value if self.result else None
        return float("nan") if value is None else float(value)


class Source(NamedTuple):
    """One radiograph behind its copies: medians of the angles over the ``images`` on which they could be measured."""

    name: str
    patient: str
    flat: bool
    images: int
    meary: float
    pitch: float


def measured(backend, path: Path, finder: bool = True) -> Measured:
    """The foot of one file, turned upright where the backend finds views (unless not asked to); the surer of two."""
    try:
        image = read_image(path)
        found = _upright(backend, image) if finder else [(image, backend.predict(image))]
    except (ImageError, PredictionError) as error:
        return Measured(None, None, None, str(error))
    if not found:
        return Measured(None, None, None, "no foot was found")
    image, prediction = max(found, key=lambda each: float(np.mean(each[1].confidence)))
    result = measure(
        backend.protocol, prediction.points, spread=prediction.spread, image=image, foreground=prediction.foreground
    )
    return Measured(image, prediction, result)


def _upright(backend, image: Image) -> list[tuple[Image, Prediction]]:
    views = backend.views(image) if hasattr(backend, "views") else (image,)
    return [(view, backend.predict(view)) for view in views]


def pooled(entries: Sequence[Mapping], angles: Sequence[tuple[float, float]]) -> tuple[list[Source], int]:
    """Sources of one label with the medians of their images' (Meary, pitch), and how many carry both or none."""
    sources, unclear = [], 0
    for name, found in _copies(entries, angles).items():
        labels = {(bool(entry["pes_planus"]), bool(entry["not_pes_planus"])) for entry, _ in found}
        if labels not in ({(True, False)}, {(False, True)}):
            unclear += 1
            continue
        meary, pitch = (_median([pair[k] for _, pair in found]) for k in (0, 1))
        sources.append(Source(name, found[0][0]["patient"], labels == {(True, False)}, len(found), meary, pitch))
    return sources, unclear


def _copies(entries: Sequence[Mapping], angles: Sequence[tuple[float, float]]) -> dict[str, list]:
    """(entry, angles) of the copies of each source."""
    copies = defaultdict(list)
    for entry, pair in zip(entries, angles, strict=True):
        copies[entry["source"]].append((entry, pair))
    return copies


def _median(values: Iterable[float]) -> float:
    known = [value for value in values if np.isfinite(value)]
    return float(np.median(known)) if known else float("nan")


def separation(sources: Sequence[Source]) -> dict[str, dict]:
    """AUC of each score with its 95 % interval, drawing patients anew. A source without value stands at the median."""
    flat, patients = np.array([each.flat for each in sources]), np.array([each.patient for each in sources])
    figures = {}
    for name, score in SCORES.items():
        values = np.array([score(each.meary, each.pitch) for each in sources])
        missing = int(np.isnan(values).sum())
        values = np.where(np.isnan(values), np.nanmedian(values) if missing < len(values) else 0.0, values)
        figures[name] = {
            "auc": metrics.area_under_curve(values, flat),
            "interval": metrics.resampled_interval(
                lambda rows, values=values: metrics.area_under_curve(values[rows], flat[rows]), patients
            ),
            "median_flat": _median(values[flat]),
            "median_other": _median(values[~flat]),
            "missing": missing,
        }
    return figures


def repeatability(entries: Sequence[Mapping], angles: Sequence[tuple[float, float]]) -> dict[str, float]:
    """Median over sources of the SD between the copies of one source, degrees: what greys and small turns change.

    The pitch against the image's horizontal turns with the image, so its figure holds the copies' true rotation too.
    """
    sources = [[pair for _, pair in found] for found in _copies(entries, angles).values()]
    spreads = np.array([np.std(pairs, axis=0, ddof=1) for pairs in sources if len(pairs) > 1]).reshape(-1, 2)
    return {"meary": _median(spreads[:, 0]), "pitch": _median(spreads[:, 1])}


# --- files
def write_sheet(path: Path, images: Sequence[tuple[Measured, str]], protocol, columns: int = 6) -> None:
    """Overlays of measured images side by side, each under its title."""
    from matplotlib.figure import Figure

    from orthoangles.overlay import draw_overlay

    rows = -(-len(images) // columns)
    figure = Figure(figsize=(4 * columns, 4.2 * rows), dpi=80, layout="constrained")
    panels = np.atleast_1d(figure.subplots(rows, columns)).ravel()
    for panel in panels:
        panel.set_axis_off()
    for panel, (one, title) in zip(panels, images, strict=False):
        drawn = draw_overlay(one.image, one.prediction.points, one.result, protocol)
        drawn.canvas.draw()
        panel.imshow(np.asarray(drawn.canvas.buffer_rgba())[::2, ::2])
        panel.set_title(title, fontsize=9)
    figure.savefig(path)


def _evenly(images: Sequence[tuple[Measured, str]], count: int) -> list[tuple[Measured, str]]:
    picked = np.unique(np.linspace(0, len(images) - 1, min(count, len(images))).astype(int))
    return [images[k] for k in picked]


def _sheets(out: Path, labelled: Sequence[tuple[Measured, str, bool]], protocol, count: int = 12) -> None:
    drawn = [(one, title, flat) for one, title, flat in labelled if one.result]
    halves = [[(one, title) for one, title, said in drawn if said is flat] for flat in (True, False)]
    if chosen := [each for half in halves if half for each in _evenly(half, count)]:
        write_sheet(out / "sheet.png", chosen, protocol)
        surest_last = sorted(drawn, key=lambda each: float(np.mean(each[0].prediction.confidence)))
        write_sheet(out / "doubtful.png", [each[:2] for each in surest_last[: 2 * count]], protocol)


def _write_tables(out: Path, entries, found: Sequence[Measured], sources: Sequence[Source]) -> None:
    with (out / "images.csv").open("w", newline="", encoding="utf-8") as stream:
        rows = csv.writer(stream)
        rows.writerow(["image", "source", "patient", "pes planus", "Meary", "pitch", "confidence", "warnings"])
        for entry, one in zip(entries, found, strict=True):
            surely = f"{np.mean(one.prediction.confidence):.3f}" if one.prediction else ""
            said = "; ".join(one.prediction.warnings) if one.prediction else one.reason
            angles = [f"{one.value(name):.2f}" for name in ("meary-angle", "calcaneal-pitch")]
            names = [Path(entry["image"]).name, entry["source"], entry["patient"], entry["pes_planus"]]
            rows.writerow([*names, *angles, surely, said])
    with (out / "sources.csv").open("w", newline="", encoding="utf-8") as stream:
        rows = csv.writer(stream)
        rows.writerow(Source._fields)
        rows.writerows(sources)


def as_markdown(summary: Mapping) -> str:
    """The summary in words and a table."""
    of, model, varies = summary["labels"], summary["model"], summary["repeatability"]
    words = (
        f"Model {model['name']} {model['version']}, weights {model['sha256'][:12]}: {summary['images']} images, "
        f"{summary['sources']} real lateral radiographs with one label of {summary['patients']} patients "
        f"({of['flat']} flat, {of['other']} not; {summary['unclear']} with both labels left out). "
        f"{summary['nothing']} images gave nothing{_reasons(summary['refusals'])}. "
        "Between copies of one radiograph Meary's angle varies by "
        f"{number(varies['meary'])} degrees, the pitch by {number(varies['pitch'])} (median SD). "
        "Angles are distorted, since the images are stretched to squares; medians tell the direction only."
    )
    rows = [
        [
            name,
            f"{number(each['auc'], 3)} ({between(each['interval'], 3)})",
            number(each["median_flat"], 1),
            number(each["median_other"], 1),
            f"{each['missing']}",
        ]
        for name, each in summary["separation"].items()
    ]
    head = ["score", "AUC (95 %, drawing patients anew)", "median, flat", "median, not flat", "without value"]
    return f"{words}\n\n{table(head, rows)}\n"


def _reasons(refusals: Mapping[str, int]) -> str:
    told = [f"{count}: {reason}" for reason, count in Counter(refusals).most_common(3)]
    return f" ({'; '.join(told)})" if told else ""


def separate(backend, data: Path, out: Path, finder: bool = True) -> dict:
    """Measures the labelled images of ``data`` and writes everything to ``out``; returns the summary."""
    entries = json.loads((data / "labels.json").read_text(encoding="utf-8"))
    found = [measured(backend, data / entry["image"], finder) for entry in tqdm(entries, unit="image")]
    angles = [(one.value("meary-angle"), one.value("calcaneal-pitch")) for one in found]
    sources, unclear = pooled(entries, angles)
    summary = {
        "model": vars(backend.model),
        "images": len(entries),
        "sources": len(sources),
        "patients": len({each.patient for each in sources}),
        "labels": {"flat": sum(each.flat for each in sources), "other": sum(not each.flat for each in sources)},
        "unclear": unclear,
        "nothing": sum(one.result is None for one in found),
        "refusals": Counter(one.reason for one in found if one.reason),
        "repeatability": repeatability(entries, angles),
        "separation": separation(sources),
    }
    out.mkdir(parents=True, exist_ok=True)
    write_json(out / "summary.json", plain(summary))
    _write_tables(out, entries, found, sources)
    titles = [
        f"{entry['source']} {'flat' if entry['pes_planus'] else 'not'}  M {meary:.1f}  CP {pitch:.1f}"
        for entry, (meary, pitch) in zip(entries, angles, strict=True)
    ]
    flat = [bool(entry["pes_planus"]) for entry in entries]
    _sheets(out, list(zip(found, titles, flat, strict=True)), backend.protocol)
    return summary


def look_at(backend, folder: Path, out: Path, finder: bool = True) -> None:
    """Overlays of the unlabelled images of ``folder`` on one sheet; prints which gave nothing, and why."""
    paths = sorted(path for path in folder.iterdir() if path.suffix.lower() in SUFFIXES)
    found = [(measured(backend, path, finder), path.name) for path in paths]
    for one, name in found:
        print(f"{name}: {one.reason or '; '.join(one.prediction.warnings) or 'measured'}")
    out.mkdir(parents=True, exist_ok=True)
    if drawn := [(one, name) for one, name in found if one.result]:
        write_sheet(out / "sheet.png", drawn, backend.protocol, columns=len(drawn))


def main(arguments: Sequence[str]) -> int:
    """Measure and write."""
    from orthoangles.predicting import Backend
    from orthoangles.training.comparison import write_section

    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--bundle", required=True, help="folder or name of the bundle")
    what = parser.add_mutually_exclusive_group(required=True)
    what.add_argument("--data", type=Path, help="folder with labels.json")
    what.add_argument("--look-at", type=Path, help="folder of images without labels")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--no-finder", action="store_true", help="take every image as one upright foot of that view")
    parser.add_argument("--results", type=Path, help="Markdown file to put the table into")
    parser.add_argument("--section", default="real-laterals", help="its section there")
    asked = parser.parse_args(arguments)
    backend = Backend(asked.bundle)
    if asked.look_at:
        look_at(backend, asked.look_at, asked.out, not asked.no_finder)
        return 0
    text = as_markdown(separate(backend, asked.data, asked.out, not asked.no_finder))
    print(text)
    if asked.results:
        command = f"`tools/real_laterals.py --bundle {Path(asked.bundle).name}`"
        write_section(asked.results, asked.section, f"{command}\n\n{text}")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
