"""A small dataset of lateral feet on disk, and a stand-in for a network that knows their landmarks."""

import numpy as np
import SimpleITK
from support.feet import lateral_foot, on_film, ordered

from orthoangles.annotation.dataset import Dataset
from orthoangles.predictions import ModelInfo, Prediction
from orthoangles.protocols import load_protocol
from orthoangles.training.landmark_cases import measured_cases, protocol_cases

PROTOCOL = load_protocol("foot-lateral")
ROWS, COLUMNS = 300, 400
MEARY = (0.0, 12.0, -8.0, 2.0, 20.0, 1.0)
GREYS = np.linspace(0, 255, ROWS * COLUMNS).astype(np.uint8).reshape(ROWS, COLUMNS)


def write_picture(path):
    SimpleITK.WriteImage(SimpleITK.GetImageFromArray(GREYS), str(path))


def foot(meary, pitch=22.0):
    return on_film(ordered(PROTOCOL.id, lateral_foot(meary=meary, pitch=pitch)))


def labelled_feet(folder):
    """Six adults, two of one person; one landmark of the second is hidden and one of the third off the image."""
    store = Dataset(folder)
    with store.adding() as add:
        for k, meary in enumerate(MEARY):
            points = foot(meary)
            if k == 2:
                points[PROTOCOL.index("L7")] = np.nan
            add(
                f"foot-{k}",
                image_suffix=".png",
                write_image=write_picture,
                protocol=PROTOCOL,
                points=points,
                group=f"person-{max(k, 1)}",
                provenance={
                    "image": {"patient_age": 40.0},
                    "parameters": {"view": {"mm_per_pixel": 0.25}, "hidden": ["L4"] if k == 1 else []},
                },
            )
    return store


class StandIn:
    """Knows the true landmarks by the name of the image, and gives them moved by ``move(name, points)``."""

    def __init__(self, store, move=lambda name, points: points, spread=2.0):
        self.protocol, self.model = PROTOCOL, ModelInfo("stand-in", "1", "0" * 64)
        self.truth = {case.id: store.read_points(case, PROTOCOL.landmark_ids) for case in store.cases}
        self.move, self.spread = move, spread

    def predict(self, image):
        points = self.move(image.name, self.truth[image.name].copy())
        count = len(points)
        return Prediction(
            PROTOCOL.id,
            PROTOCOL.landmark_ids,
            points,
            np.full(count, 0.9),
            np.full(count, self.spread),
            self.model,
            seconds=0.02,
        )


def measured(store, *arguments, **named):
    return measured_cases(StandIn(store, *arguments, **named), protocol_cases([store.folder], PROTOCOL.id))
