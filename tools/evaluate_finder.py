"""How well a foot finder tells view, number, quarter turn and inversion, and refuses what is no foot.

    python tools/evaluate_finder.py --bundle foot_view --dataset TEST_FEET... --output results/foot_view

Feet of the datasets (persons that no training image used) are shown in all four quarter turns, mirrored and inverted in
turn, alone, as pairs of AP feet and as an AP and a lateral film on one sheet. Of the real lateral feet and the spines
that the bundle's training config names, the persons held out there are shown. Writes finder.md and finder.json.
"""

import argparse
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from monai.bundle import ConfigParser
from tqdm import tqdm

from orthoangles.annotation.dataset import Dataset
from orthoangles.foot_views import KINDS, FootView
from orthoangles.images import Image
from orthoangles.networks.foot_finder import FootFinder
from orthoangles.training.finder_data import FinderData
from orthoangles.training.finder_films import Films
from orthoangles.training.finder_scenes import Scene, around_the_foot, nothing, side_by_side, two_films


@dataclass(frozen=True)
class Shown:
    """An image and what is true of it: the kinds of its feet, the quarter turns that make them upright, inversion."""

    group: str
    image: Image
    kinds: tuple[str, ...]
    turns: int
    inverted: bool

    def judged(self, views: Sequence[FootView]) -> dict[str, bool]:
        """What of it was told rightly; turn and inversion of all feet, judged where number and views are right."""
        found = sorted(view.kind for view in views) == sorted(self.kinds)
        right = {"number": len(views) == len(self.kinds), "views": found}
        if self.kinds and found:
            right["turn"] = all(view.quarter_turns == self.turns for view in views)
            right["inversion"] = all(view.inverted == self.inverted for view in views)
        right["all"] = all(right.values())
        return right


def shown(group: str, scene: Scene, number: int) -> Shown:
    """``scene`` as the ``number``-th of its group: turned, mirrored and inverted by the number's digits."""
    turns, mirrored, inverted = number % 4, number // 4 % 2, number // 8 % 3 == 2
    scene = scene.mirrored() if mirrored else scene
    pixels = np.rot90(scene.pixels, -turns)
    grey = np.rint(255 * (1 - pixels if inverted else pixels)).astype(np.uint8)
    kinds = tuple(KINDS[foot.kind] for foot in scene.feet)
    return Shown(group, Image(np.ascontiguousarray(grey)[None], name=f"{group} {number}"), kinds, turns, inverted)


def simulated(films: Films, rng: np.random.Generator) -> Iterator[Shown]:
    """Every foot alone, and as many pairs and sheets as there are AP feet."""
    ap, lateral = (np.flatnonzero(films.kinds == k) for k in range(len(KINDS)))
    for group, chosen in (("simulated AP foot", ap), ("simulated lateral foot", lateral)):
        for number, k in enumerate(rng.permutation(chosen)):
            yield shown(group, films.scene(k), number)
    for number, k in enumerate(rng.permutation(ap)):
        one = films.scene(k)
        other = one.mirrored() if number % 2 else films.scene(int(rng.choice(ap)))
        yield shown(
            "two simulated AP feet",
            side_by_side(*(around_the_foot(s, rng, (0.03, 0.12)) for s in (one, other)), rng),
            number,
        )
        yield shown(
            "AP and lateral film on one sheet", two_films(one, films.scene(int(rng.choice(lateral))), rng), number
        )


def real(data: FinderData, sources: dict[str, Films], rng: np.random.Generator) -> Iterator[Shown]:
    """Held-out persons of the real pictures, drawn spines and pictures of nothing."""
    for name, group in (("laterals", "real lateral foot"), ("no-feet", "real spine"), ("spines", "drawn spine")):
        if name in sources:
            _, held_out = data.parted(sources[name])
            for number, k in enumerate(rng.permutation(len(held_out))):
                yield shown(group, held_out.scene(k), number)
    for number in range(60):
        yield shown("nothing", nothing(rng), number)


def evaluate(
    finder: FootFinder, data: FinderData, datasets: Sequence[Path], output: Path
) -> dict[str, dict[str, float]]:
    """Shares of what was told rightly, by group; films are packed in ``output``."""
    rng = np.random.default_rng(0)
    sources = data.sources([Dataset(folder) for folder in datasets], output)
    pictures = [*simulated(sources["feet"], rng), *real(data, sources, rng)]
    judged: dict[str, list[dict[str, bool]]] = {}
    for picture in tqdm(pictures, desc="Looking for feet", unit="image"):
        judged.setdefault(picture.group, []).append(picture.judged(finder.find(picture.image)))
    return {group: _shares(results) for group, results in judged.items()}


def _shares(results: Sequence[dict[str, bool]]) -> dict[str, float]:
    names = dict.fromkeys(name for result in results for name in result)
    shares = {name: float(np.mean([result[name] for result in results if name in result])) for name in names}
    return {"images": len(results), **shares}


def table(shares: dict[str, dict[str, float]]) -> str:
    """Markdown; percent."""
    columns = ("number", "views", "turn", "inversion", "all")
    lines = ["| shown | images | number | view | quarter turn | inversion | all right |", "|" + "-|" * 7]
    for group, values in shares.items():
        cells = (f"{100 * values[name]:.1f}" if name in values else "" for name in columns)
        lines.append(f"| {group} | {values['images']} | {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def main() -> None:
    """Run from the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--bundle", default="foot_view", help="name or folder (default: foot_view)")
    parser.add_argument("--dataset", required=True, nargs="+", type=Path, help="simulated feet of unseen persons")
    parser.add_argument("--output", required=True, type=Path, help="folder for tables and packed films")
    parser.add_argument("--device", default="auto")
    options = parser.parse_args()
    finder = FootFinder(options.bundle, options.device)
    config = ConfigParser()
    config.read_config(str(finder.folder / "configs" / "train.json"))
    options.output.mkdir(parents=True, exist_ok=True)
    shares = evaluate(finder, config.get_parsed_content("data"), options.dataset, options.output)
    (options.output / "finder.json").write_text(json.dumps(shares, indent=1) + "\n", encoding="utf-8")
    (options.output / "finder.md").write_text(table(shares), encoding="utf-8")
    print(table(shares))


if __name__ == "__main__":
    main()
