"""Films for the foot finder, from every source: simulated feet, real feet without landmarks, and what is no foot."""

import json
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path

import numpy as np
from tqdm import tqdm

from orthoangles.annotation.dataset import Case, Dataset
from orthoangles.errors import DatasetError, ImageError
from orthoangles.foot_views import KINDS
from orthoangles.images import Image, read_image
from orthoangles.protocols import load_protocol
from orthoangles.simulation.spine.drawn import simulate_spine
from orthoangles.training.finder_scenes import NO_FOOT, Foot, Scene
from orthoangles.training.foot_outlines import ap_outline, lateral_outline, up_vector
from orthoangles.training.packing import LabelledRadiograph, PackedCases, pack

PROTOCOLS = ("foot-ap", "foot-ap-hallux", "foot-lateral")

_AP, _LATERAL = (KINDS.index(kind) for kind in ("AP", "lateral"))
_PICTURES = frozenset({".jpg", ".jpeg", ".png"})
_UNPLACED = np.full((8, 2), np.nan)
_FIRST_SPINE = 200_000
"""Seeds of the drawn spines, apart from those of the spine's own training."""

LabelledFilm = tuple[LabelledRadiograph, int]
"""A film whose points are its foot's outline (8, 2), NaN where that is not known, and the index of the kind."""


@dataclass(frozen=True, eq=False)
class Films:
    """``cases`` whose points are outlines (8, 2), NaN where a foot's place is not known; ``kinds`` (n,) indices."""

    cases: PackedCases
    kinds: np.ndarray

    def __len__(self) -> int:
        return len(self.kinds)

    def __getitem__(self, index: np.ndarray) -> "Films":
        return Films(self.cases[index], self.kinds[index])

    @property
    def placed(self) -> np.ndarray:
        """(n,) whether the foot's place is known."""
        return np.isfinite(self.cases.points).all((1, 2))

    def scene(self, k: int) -> Scene:
        """Film ``k`` without the frame around it."""
        pixels = self.cases.images[k].astype(np.float32) / 255
        outline, kind = self.cases.points[k].astype(np.float64), int(self.kinds[k])
        up = up_vector(outline) if np.isfinite(outline).all() else np.array([0.0, -1.0])
        scene = Scene(pixels, () if kind == NO_FOOT else (Foot(kind, outline, up),))
        inner = self.cases.sizes[k] * (max(pixels.shape) / max(self.cases.sizes[k]))
        low = (np.array(pixels.shape[::-1]) - inner) / 2
        return scene.cropped(np.rint(low), np.rint(low + inner))

    @classmethod
    def packed(cls, film_list: Iterator[LabelledFilm], file: Path, side: int) -> "Films | None":
        """Letterboxed in squares of ``side`` pixels, once, and kept in ``file`` (.npz); None where there is no film."""
        kinds_file = file.with_suffix(".kinds.npy")
        if not kinds_file.exists():
            first = next(film_list, None)
            if first is None:
                return None
            kinds: list[int] = []
            pack(_noting_kinds(chain([first], film_list), kinds), (side, side)).save(file)
            np.save(kinds_file, np.array(kinds))
        return cls(PackedCases.load(file), np.load(kinds_file))

    @classmethod
    def join(cls, parts: Sequence["Films"]) -> "Films":
        """All films of several packs of the same side."""
        return cls(PackedCases.join([part.cases for part in parts]), np.concatenate([part.kinds for part in parts]))


def _noting_kinds(films: Iterable[LabelledFilm], kinds: list[int]) -> Iterator[LabelledRadiograph]:
    """The films one by one, so that not all are in memory; their kinds are appended to ``kinds``."""
    for film, kind in films:
        kinds.append(kind)
        yield film


def feet(dataset: Dataset) -> Iterator[LabelledFilm]:
    """Each film of a dataset that has the landmarks of its kind; both AP protocols of one image make one film."""
    films: dict[bytes, list[Case]] = defaultdict(list)
    for case in dataset.cases:
        if case.protocol in PROTOCOLS:
            films[dataset.image_path(case).read_bytes()].append(case)
    for cases in tqdm(films.values(), desc="Packing feet", unit="film"):
        image = dataset.read_image(cases[0])
        points = {name: place for case in cases for name, place in _pixels(dataset, case, image).items()}
        kind = _LATERAL if cases[0].protocol == "foot-lateral" else _AP
        outline = (lateral_outline if kind == _LATERAL else ap_outline)(points)
        if outline is not None:
            yield _film(_bright(cases[0], image), outline, cases[0].group, cases[0].id), kind


def _pixels(dataset: Dataset, case: Case, image: Image) -> dict[str, np.ndarray]:
    ids = load_protocol(case.protocol).landmark_ids
    return dict(zip(ids, image.index_points(dataset.read_points(case, ids))[:, :2], strict=True))


def _bright(case: Case, image: Image) -> np.ndarray:
    """The pixels with bright bone: the simulation inverts some films, and says so."""
    style = case.provenance.get("parameters", {}).get("view", {}).get("style", {})
    pixels = image.array[0].astype(np.float32)
    return pixels.max() + pixels.min() - pixels if style.get("inverted") else pixels


def _film(pixels: np.ndarray, outline: np.ndarray, group: str, name: str) -> LabelledRadiograph:
    return LabelledRadiograph(pixels, outline, group, name)


def spines(count: int) -> Iterator[LabelledFilm]:
    """``count`` drawn spines: radiographs of no foot."""
    for seed in tqdm(range(_FIRST_SPINE, _FIRST_SPINE + count), desc="Drawing spines", unit="film"):
        rng = np.random.default_rng(seed)
        spine = simulate_spine(seed, (600, int(600 * rng.uniform(0.38, 0.8))))
        yield _film(spine.image, _UNPLACED, f"spine {seed}", f"spine {seed}"), NO_FOOT


def pictures(folder: Path, kind: int = NO_FOOT) -> Iterator[LabelledFilm]:
    """Every picture in ``folder`` and the folders in it, of no foot; one person's names start with the same digits."""
    paths = sorted(path for path in folder.rglob("*") if path.suffix.lower() in _PICTURES)
    for path in tqdm(paths, desc="Reading pictures", unit="film"):
        person = "".join(character for character in path.stem[:12] if character.isdigit()) or path.stem
        try:
            yield _film(read_image(path).array[0], _UNPLACED, f"{folder.name} {person}", path.stem), kind
        except ImageError as error:
            print(f"left out: {error}", flush=True)


def real_laterals(folder: Path) -> Iterator[LabelledFilm]:
    """The lateral feet of ``labels.json`` (a list with ``image`` and ``patient``), dorsum up, without landmarks."""
    path = folder / "labels.json"
    try:
        labels: list[Mapping[str, str]] = json.loads(path.read_text(encoding="utf-8"))
        entries = [(folder / label["image"], label["patient"]) for label in labels]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise DatasetError(f"{path.name} in {folder.name}: cannot be read as a list of image and patient") from error
    for image, patient in tqdm(entries, desc="Reading lateral feet", unit="film"):
        yield _film(read_image(image).array[0], _UNPLACED, f"{folder.name} {patient}", image.stem), _LATERAL
