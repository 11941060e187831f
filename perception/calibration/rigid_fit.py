r"""The rigid motion between two sets of corresponding points.

Kabsch (1976), with Umeyama's (1991) guard against reflections: with centred points :math:`a_i, b_i` and
:math:`\sum_i w_i\, a_i b_i^T = U S V^T`,

.. math:: R = U\, \mathrm{diag}(1, 1, \det(U V^T))\, V^T, \qquad t = \bar a - R\, \bar b
"""

import contextlib

import numpy as np
from numpy.typing import ArrayLike, NDArray

from datasets.common.errors import DataError
from datasets.rig.projection import transform

LEAST_POINTS = 4
LEAST_SPREAD_M = 0.03
OUTLIER_MADS = 4.0
DRAWS = 300
_MAD_TO_SIGMA = 1.4826

Pose = NDArray[np.float64]


def fit_rigid(points_a: ArrayLike, points_b: ArrayLike, weights: ArrayLike | None = None) -> Pose:
    """``T_a_b`` (4x4) that brings ``points_b`` ``(N, 3)`` m onto ``points_a`` with the least weighted squares.

    Raises:
        DataError: fewer than four points, or they lie so near to one line that the rotation is undetermined.
    """
    a, b = np.asarray(points_a, dtype=float), np.asarray(points_b, dtype=float)
    w = np.ones(len(a)) if weights is None else np.asarray(weights, dtype=float)
    if len(a) < LEAST_POINTS or a.shape != b.shape:
        raise DataError(f"a pose needs at least {LEAST_POINTS} pairs of points, got {len(a)} and {len(b)}")
    w = w / w.sum()
    mean_a, mean_b = w @ a, w @ b
    spread = np.sqrt(np.linalg.eigvalsh((a - mean_a).T @ ((a - mean_a) * w[:, None])).clip(0))[1]
    if spread < LEAST_SPREAD_M:
        raise DataError(
            f"the points lie within {spread * 1e3:.0f} mm of one line, too near for a rotation; spread them out"
        )
    u, _, vt = np.linalg.svd((a - mean_a).T @ ((b - mean_b) * w[:, None]))
    rotation = u @ np.diag([1.0, 1.0, np.linalg.det(u @ vt)]) @ vt
    pose = np.eye(4)
    pose[:3, :3], pose[:3, 3] = rotation, mean_a - rotation @ mean_b
    return pose


def fit_rigid_robust(points_a: ArrayLike, points_b: ArrayLike) -> tuple[Pose, NDArray[np.bool_]]:
    """As :func:`fit_rigid`, without the pairs that do not fit the others: the pose, and which pairs were kept ``(N,)``.

    Begins with the pose of four pairs that has the least median residual (Rousseeuw 1984); then a pair is dropped when
    its residual exceeds four robust standard deviations, and the rest is fitted again until nothing changes.
    """
    a, b = np.asarray(points_a, dtype=float), np.asarray(points_b, dtype=float)
    pose = _least_median(a, b)
    kept = np.ones(len(a), dtype=bool)
    for _ in range(10):
        residuals = _distances(pose, a, b)
        limit = OUTLIER_MADS * _MAD_TO_SIGMA * float(np.median(residuals))
        within = residuals <= max(limit, 1e-6)
        pose = fit_rigid(a[within], b[within])
        if np.array_equal(within, kept):
            break
        kept = within
    return pose, kept


def _least_median(a: NDArray[np.floating], b: NDArray[np.floating]) -> Pose:
    rng = np.random.default_rng(0)
    best, least = fit_rigid(a, b), np.inf
    for _ in range(DRAWS):
        chosen = rng.choice(len(a), LEAST_POINTS, replace=False)
        with contextlib.suppress(DataError):  # four points near a line do not determine it; others will
            pose = fit_rigid(a[chosen], b[chosen])
            median = float(np.median(_distances(pose, a, b)))
            if median < least:
                best, least = pose, median
    return best


def _distances(pose: Pose, a: NDArray[np.floating], b: NDArray[np.floating]) -> NDArray[np.float64]:
    return np.asarray(np.linalg.norm(a - transform(pose, b), axis=1), dtype=float)
