"""Simulated feet as cases of a dataset: one image a view, and one case for each protocol that reads it."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from orthoangles.simulation.datasets.jobs import library_digest
from orthoangles.simulation.datasets.simulating import SimulatedCase
from orthoangles.simulation.foot import VIEWS, FootOptions, SimulatedFoot, simulate_foot
from orthoangles.simulation.pose.foot_pool import foot_pool

if TYPE_CHECKING:
    from orthoangles.simulation.radiography.radiograph import Radiograph
    from orthoangles.simulation.tomography.volume import Volume

PROTOCOLS = {
    "ap": {"ap": "foot-ap", "ap-hallux": "foot-ap-hallux"},
    "lateral": {"lateral": "foot-lateral"},
    "wbct": {"wbct": "foot-wbct"},
}
"""View -> end of the case's id -> protocol: the AP radiograph serves two, as two cases of one stored image."""


@dataclass(frozen=True)
class FootJob:
    """Weight-bearing feet as ``options`` say. Raises SimulationError where no bones fit them."""

    options: FootOptions
    kind = "foot"

    def __post_init__(self) -> None:
        # Said before any worker starts: a folder without a manifest, a person who is not there.
        foot_pool(self.options.bones, self.options.persons)

    def recipe(self) -> Mapping[str, Any]:
        """As :class:`Job` says."""
        asked = asdict(self.options)
        bones = asked.pop("bones")
        return {"library": library_digest(Path(bones)) if bones else "procedural", **asked}

    def case_ids(self, seed: int) -> tuple[str, ...]:
        """One for each protocol of the views."""
        return tuple(f"simulated-foot-{seed}-{end}" for view in self._views for end in PROTOCOLS[view])

    def __call__(self, seed: int, folder: Path) -> Sequence[SimulatedCase]:
        """One foot, its images and its cases."""
        foot = simulate_foot(self.options, seed)
        cases = [case for view in self._views for case in self._cases(foot, view, seed, folder)]
        # The first case tells all about the foot; the others name it and repeat the angles.
        rest = {"as_in": cases[0].id, "pose": {"angles": foot.parameters["pose"]["angles"]}}
        return [cases[0], *(replace(case, parameters={**case.parameters, "foot": rest}) for case in cases[1:])]

    def share_in(self, folder: Path | None) -> None:
        """As :class:`SharesWork` says: standing feet, and what turns one person's bones into another's."""
        foot_pool(self.options.bones, self.options.persons).share(folder)

    @property
    def _views(self) -> tuple[str, ...]:
        return tuple(view for view in VIEWS if view in self.options.views)

    def _cases(self, foot: SimulatedFoot, view: str, seed: int, folder: Path) -> list[SimulatedCase]:
        image: Radiograph | Volume = getattr(foot, view)
        path = folder / f"{view}{'.nrrd' if view == 'wbct' else '.png'}"
        points = _written_volume(image, path) if view == "wbct" else _written_radiograph(image, path)
        about = {
            "laterality": foot.posed.side,
            "view": {"ap": "AP", "lateral": "lateral", "wbct": "WBCT"}[view],
            "modality": "CT" if view == "wbct" else "DX",
            "patient_age": round(foot.age, 1),
        }
        # Nobody stands behind the procedural bones: each foot is a group of its own.
        whose = {"persons": foot.persons, "group": foot.group} if self.options.bones else {"persons": ()}
        return [
            SimulatedCase(
                id=f"simulated-foot-{seed}-{end}",
                image=path,
                protocol=protocol,
                points=points,
                parameters={"foot": foot.parameters, "view": image.parameters, "hidden": _hidden(image, protocol)},
                about=about,
                **whose,
            )
            for end, protocol in PROTOCOLS[view].items()
        ]


def _hidden(image: "Radiograph | Volume", protocol: str) -> list[str]:
    """Landmarks of the protocol that cannot be seen, though their place is known."""
    from orthoangles.protocols import load_protocol

    return [name for name in load_protocol(protocol).landmark_ids if not image.visible.get(name, False)]


def _written_radiograph(image: "Radiograph", path: Path) -> dict[str, np.ndarray]:
    """Write it; its landmarks as (column, row, 0), for a PNG has no spacing, without those beyond its edges."""
    import SimpleITK

    SimpleITK.WriteImage(SimpleITK.GetImageFromArray(image.image), str(path), useCompression=True)
    rows, columns = image.image.shape
    edge = np.array([columns, rows]) - 0.5
    return {
        name: np.array([*point, 0.0])
        for name, point in image.points.items()
        if (point >= -0.5).all() and (point <= edge).all()
    }


def _written_volume(volume: "Volume", path: Path) -> dict[str, np.ndarray]:
    """Write it; its landmarks in LPS mm, without those beyond its edges."""
    volume.write(path)
    last = np.array(volume.array.shape[::-1]) - 0.5
    inverse = np.linalg.inv(volume.direction * volume.spacing)
    index = {name: inverse @ (point - volume.origin) for name, point in volume.points.items()}
    return {
        name: point
        for name, point in volume.points.items()
        if (index[name] >= -0.5).all() and (index[name] <= last).all()
    }
