"""What can be wrong with a dataset and with the labels of a case."""

from collections import defaultdict

import numpy as np

from orthoangles.errors import OrthoAnglesError


def dataset_problems(dataset, *, digests: bool = False) -> tuple[str, ...]:
    """Problems of an :class:`orthoangles.annotation.dataset.Dataset`, one sentence each.

    With ``digests`` every image is read and compared with the digest noted when it was written.
    """
    problems: list[str] = []
    splits = defaultdict(set)
    for case in dataset.cases:
        splits[case.group].add(case.split)
        missing = [name for name in case.files if not (dataset.folder / name).is_file()]
        problems += [f"case '{case.id}': file {name} is missing." for name in missing]
        if not missing:
            problems += _case_problems(dataset, case, digests)
    for group, used in splits.items():
        if len(used) > 1:
            names = ", ".join(sorted(split or "none" for split in used))
            problems.append(f"group '{group}' stands in more than one split ({names}): results would flatter.")
    return tuple(problems)


def _case_problems(dataset, case, digests: bool) -> list[str]:
    from orthoangles.protocols import load_protocol

    try:
        ids = load_protocol(case.protocol).landmark_ids
        dataset.read_points(case, ids)
        dataset.read_predicted(case, ids)
        noted = case.provenance.get("image", {}).get("sha256")
        if digests and noted and dataset.read_image(case).sha256 != noted:
            return [f"case '{case.id}': the image is not the one that was exported (its digest differs)."]
    except OrthoAnglesError as error:
        return [f"case '{case.id}': {error}"]
    return []


def label_flags(protocol, points: np.ndarray, geometry) -> tuple[str, ...]:
    """Why labels are not plausible, one sentence each: :func:`orthoangles.measuring.plausibility`, and
    outside the image.

    ``points`` (n, 3) LPS mm in the protocol's order; ``geometry`` an image or an ``images.ImageGeometry``.
    """
    from orthoangles.measuring import plausibility

    placed = np.isfinite(points).all(axis=1)
    index = np.full_like(points, 0.0)
    index[placed] = geometry.index_points(points[placed])
    outside = ((index < -0.5) | (index > np.asarray(geometry.size) - 0.5)).any(axis=1)
    names = [name for name, out in zip(protocol.landmark_ids, outside, strict=True) if out]
    flags = (f"outside the image: {', '.join(names)}",) if names else ()
    return (*flags, *plausibility(protocol, points, image=geometry))
