"""What surrounds and fills the bones of a posed foot: the endosteal surface of every bone and the skin."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np

from orthoangles.simulation.pose.posed_foot import PosedFoot
from orthoangles.simulation.tissue.cortex import SUBCHONDRAL_PLATE, inner_surfaces
from orthoangles.simulation.tissue.skin import leg_top, random_skin_style, skin_surface


@dataclass(frozen=True, eq=False)
class FootTissue:
    """Surfaces of one posed foot in the standing frame (mm), as a right foot.

    - ``inner`` bone name -> (n, 3) vertices of the endosteal surface, with the SAME faces as the bone; cortex lies
      between the two surfaces, marrow and trabeculae inside the inner one;
    - ``thickness`` bone name -> (n,) mm of cortex at each vertex;
    - ``joint_gap`` bone name -> (n,) mm to the nearest other bone, 4 where none is nearer;
    - ``skin`` (vertices (k, 3), faces (l, 3) int32): closed, outward, flat on z = 0 where the foot bears;
    - ``top`` height in mm at which the bones of the leg are cut off: views must end below it (the skin goes on
      above), infinite without a tibia.

    Cartilage and joint fluid are the soft tissue in the gaps. ``parameters`` are JSON types.
    """

    inner: Mapping[str, np.ndarray]
    thickness: Mapping[str, np.ndarray]
    joint_gap: Mapping[str, np.ndarray]
    skin: tuple[np.ndarray, np.ndarray]
    top: float
    parameters: Mapping[str, Any] = field(default_factory=dict)


def foot_tissue(foot: PosedFoot, rng: np.random.Generator) -> FootTissue:
    """Cortex and skin of ``foot``, as thick as ``rng`` draws. Raises SimulationError when the foot is not whole."""
    # Cortices thin with age and osteopenia: a third less at most, a fifth more at most (inferred).
    factor = float(np.clip(rng.normal(1.0, 0.13), 0.65, 1.2))
    plate = float(rng.uniform(*SUBCHONDRAL_PLATE))
    style = random_skin_style(rng)
    inner, thickness, gaps = inner_surfaces(foot.bones, factor, plate)
    parameters = {"cortical_factor": factor, "subchondral_plate": plate, "skin": asdict(style)}
    return FootTissue(inner, thickness, gaps, skin_surface(foot.bones, style), leg_top(foot.bones), parameters)
