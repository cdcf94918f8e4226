"""The linear system of one step towards a pose: what is asked, weighed, over the coordinates of the chain."""

import numpy as np


class NormalEquations:
    """Normal equations of weighted residuals over the chain's coordinates.

    What hangs on the motion of bones is gathered by bone and taken to the coordinates once, at the end.
    """

    def __init__(self, twists: np.ndarray) -> None:
        bones, _, size = twists.shape
        self._twists = twists.reshape(6 * bones, size)
        self._bones, self._forces = np.zeros((6 * bones, 6 * bones)), np.zeros(6 * bones)
        self._rows: list[np.ndarray] = []
        self._direct: list[tuple[float, float]] = []
        self.diagonal, self.vector = np.zeros(size), np.zeros(size)

    def add(self, bones: tuple[int, ...], rows: np.ndarray, residuals: np.ndarray, weights: np.ndarray | float) -> None:
        """Residuals (n,) whose derivative is ``rows`` (n, 6) times the twist of a bone, less that of a second one."""
        weighted = rows * np.broadcast_to(np.asarray(weights), residuals.shape)[:, None]
        matrix, vector = weighted.T @ rows, weighted.T @ residuals
        places = [(slice(6 * bone, 6 * bone + 6), sign) for bone, sign in zip(bones, (1, -1), strict=False)]
        for place, sign in places:
            self._forces[place] += sign * vector
            for other, its in places:
                self._bones[place, other] += sign * its * matrix

    def add_direct(self, row: np.ndarray, residual: float, weight: float) -> None:
        """One residual with its derivative (size,)."""
        self._rows.append(row)
        self._direct.append((residual, weight))

    def step(self, q: np.ndarray, limits: np.ndarray) -> np.ndarray:
        """What to add to the coordinates ``q`` (size,), which stay within ``limits``: the rest makes up for them."""
        rows, (residuals, weights) = np.array(self._rows), np.array(self._direct).T
        matrix = self._twists.T @ (self._bones @ self._twists) + (rows.T * weights) @ rows
        matrix[np.diag_indices_from(matrix)] += self.diagonal
        vector = self.vector + self._twists.T @ self._forces + rows.T @ (weights * residuals)
        step = -np.linalg.solve(matrix, vector)
        beyond = np.abs(q + step) > limits
        if beyond.any():
            free = ~beyond
            step[beyond] = np.clip(step[beyond], -limits[beyond] - q[beyond], limits[beyond] - q[beyond])
            rest = vector[free] + matrix[np.ix_(free, beyond)] @ step[beyond]
            step[free] = -np.linalg.solve(matrix[np.ix_(free, free)], rest)
        return step


def along(points: np.ndarray, directions: np.ndarray) -> np.ndarray:
    """Rows (n, 6): how points (n, 3) fixed to a bone move along directions (n, 3) with the bone's twist."""
    px, py, pz = points.T
    dx, dy, dz = directions.T
    # Not np.cross: it takes ten times as long on so few rows.
    return np.stack([py * dz - pz * dy, pz * dx - px * dz, px * dy - py * dx, dx, dy, dz], axis=1)
