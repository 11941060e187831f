"""Where the TCP is, from one RGB-D frame: a glance at the whole view, a look at the arm's base, the fovea at the TCP.

Between glance and fovea there may be a parafovea: a wider window, for a tool that looks like the rest of the arm.
All looks are ONNX graphs that begin with the raw pixels of a window: the preprocessing of training
(:mod:`perception.networks.preprocess`) is inside the graph, so simulation and reality cannot drift apart.
"""

from collections.abc import Callable
from copy import copy
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from datasets.common.errors import DataError, ModelError
from datasets.common.files import location
from datasets.rig.envelope import CameraEnvelope
from datasets.rig.frame import Frame
from datasets.rig.landmarks import LANDMARKS
from datasets.rig.projection import Array, Intrinsics, Window, backproject, invert, transform
from datasets.rig.rig import BASE_TARGET_M, Rig, Workspace
from perception.estimator.doubt import NO_EVIDENCE, Doubt, evidence_of
from perception.estimator.estimate import PositionEstimate
from perception.estimator.graphs import open_graph_file
from perception.estimator.model_folder import read_description, require_same_rig
from perception.estimator.pose_check import check_pose
from perception.estimator.table_plane import FAR_M, fit_table, seen_from_table

MODEL_FOLDER = Path("models/estimator")
CHANNELS = ["rgb", "depth"]
RELOOK_M = {"parafovea": 0.03, "fovea": 0.008, "base": 0.008}
"""When a look finds its target farther than this from its window's middle, it looks again, where it found it."""
MOST_LOOKS = 3
LOST_M = 0.018
"""A glance with a larger sigma, m, may not have found the arm: where something hid the gripper, nearly half of the
answers that followed such a glance were over 20 mm wrong (scenes like the splits', other seeds)."""
LOST_SIGMA_M = 2.0
"""Sigma, m, of an answer that is worth nothing; the largest that a look can give."""
NEAREST_M = 0.1
"""Answers nearer than this, m, are moved to it: otherwise there would be no pixel to look at."""
GRAPHS = {"glance": "glance.onnx", "fovea": "fovea.onnx", "base": "base.onnx"}
PARAFOVEA = "parafovea"
FURTHER_GRAPHS = {PARAFOVEA: "parafovea.onnx"}
"""Files of the looks that not every estimator has."""
DESCRIPTION = "estimator.json"
_AGAIN = "train it with `make reproduce`, or take the repository's models/estimator"
_MOST_SCALE = 1000.0

Exact = NDArray[np.float64]

Photograph = Callable[[Window, int], tuple[NDArray[np.uint8], NDArray[np.float32]]]
"""Takes a window and a size S, gives its ``rgb (S, S, 3)`` and ``depth (S, S)`` m on the window's regular grid."""


@dataclass(frozen=True)
class Look:
    """What one window showed.

    Attributes:
        rgb: ``(S, S, 3)`` uint8.
        depth: ``(S, S)`` float32 m.
        columns: ``(S,)`` px, where in the native image each column of samples lies.
        rows: ``(S,)`` px, likewise.
    """

    rgb: NDArray[np.uint8]
    depth: NDArray[np.float32]
    columns: Array
    rows: Array

    def points(self, intrinsics: Intrinsics, t_base_camera: Array) -> Array:
        """Base-frame points ``(N, 3)`` m of every other sample with a reading."""
        uv = np.stack(np.meshgrid(self.columns, self.rows), axis=-1)
        chosen = (self.depth > 0) & (self.depth < FAR_M)
        chosen[:, ::2] = False
        return transform(t_base_camera, backproject(uv[chosen], self.depth[chosen], intrinsics))


@dataclass(frozen=True)
class Location:
    """What the looks answer.

    Attributes:
        glance: the first look's estimate, base frame.
        coarse: the estimate about which the fovea looked first, base frame: the parafovea's, or else the glance's.
        fovea: the last look's estimate, base frame: the answer.
        window: the part of the image that the last look saw.
        base: where the arm's base (``BASE_TARGET_M``) appears in the base frame, by the given pose.
        moved: probability that the camera is not where it was calibrated to be.
        t_base_camera: the pose (4x4), corrected by the check, that placed glance and fovea in the base frame.
        evidence: ``(5,)``, for and against the answer (:mod:`perception.estimator.doubt`); not numbers where the looks
            find no landmarks.
    """

    glance: PositionEstimate
    coarse: PositionEstimate
    fovea: PositionEstimate
    window: Window
    base: PositionEstimate
    moved: float
    t_base_camera: Array
    evidence: Exact


def rig_part(rig: Rig) -> dict:
    """The values of a rig that the networks depend on: if one of them changes, other networks are needed."""
    whole = rig.to_json()
    return {
        key: whole[key]
        for key in (
            "fovea_width_m",
            "input_px",
            "workspace",
            "tool",
        )
    }


class PositionEstimator:
    r"""Glance, base, perhaps parafovea, fovea: ONNX Runtime on one thread. Not thread-safe: each thread loads its own.

    It is bound to a camera, whose pose and intrinsics it uses, and to a table: :meth:`load` binds it to the rig's own,
    with the table at z = 0, and :meth:`bound` to others. The check of the camera's pose
    (:mod:`perception.estimator.pose_check`) lays the table that it sees on z = 0; nothing else in here depends on where
    z = 0 is. For a base that stands on a plate, the networks therefore work in the base frame moved to the table's
    height :math:`h`, and their answer is brought back:

    .. math:: \hat x = \mathrm{locate}(T_{-h}\, T_{base, camera}) + h\, e_z
    """

    def __init__(self, folder: Path, rig: Rig) -> None:
        self.rig = rig
        self.folder = folder
        self.description = _read_description(folder, rig)
        self._looks_rig = replace(rig, workspace=_workspace(self.description["rig"]))
        scale = self.description["sigma_scale"]
        files = {look: name for look, name in (GRAPHS | FURTHER_GRAPHS).items() if look in scale}
        self._sessions = {look: open_graph_file(folder / name, _AGAIN) for look, name in files.items()}
        self._sigma_scale = {look: np.asarray(scale[look], dtype=float) for look in files}
        self._finds_landmarks = all(
            look in self._sessions and self._sessions[look].get_outputs()[0].shape[1] > len(names)
            for look, names in LANDMARKS.items()
        )
        self._doubt: Doubt | None = self.description["doubt"]
        if self._doubt is not None and not self._finds_landmarks:
            raise ModelError(
                f"{folder / DESCRIPTION}: doubt weighs the landmarks of {' and '.join(LANDMARKS)}, "
                f"but the networks beside it find none; {_AGAIN}"
            )
        self.envelope: CameraEnvelope = self.description["envelope"]
        self._t_table_camera: Array = rig.t_base_camera
        self._intrinsics, self._table_m = rig.camera, np.zeros(3)

    @classmethod
    def load(cls, folder: str | Path = MODEL_FOLDER, rig: Rig | None = None) -> "PositionEstimator":
        """Open the networks of ``folder`` for ``rig`` (default: ``params/rig.yaml``).

        Raises:
            ModelError: a file is missing or damaged, or the networks were trained for another rig or other channels.
        """
        return cls(Path(location(folder)), Rig.load() if rig is None else rig)

    def bound(self, t_base_camera: Array, intrinsics: Intrinsics, table_z_m: float = 0.0) -> Self:
        """The same networks, which stay loaded once, for the camera at a pose (4x4) and a table in the base frame.

        Args:
            table_z_m: height of the table; negative where the base stands on a plate.
        """
        other = copy(self)
        other._t_table_camera = seen_from_table(t_base_camera, table_z_m)
        other._intrinsics, other._table_m = intrinsics, np.array([0.0, 0.0, table_z_m])
        return other

    def faults(self, t_base_camera: Array, intrinsics: Intrinsics) -> list[str]:
        """Values of a camera at a pose (4x4) that lie outside the envelope, seen from the workspace's middle."""
        middle = (self.rig.workspace.low + self.rig.workspace.high) / 2
        return self.envelope.faults(t_base_camera, intrinsics, middle)

    def estimate(self, frame: Frame) -> PositionEstimate:
        """Locate the TCP in a whole frame of the camera that this is bound to, base frame.

        Raises:
            DataError: the frame's size is not that of the intrinsics.
        """
        intrinsics = self._intrinsics
        if frame.depth.shape != (intrinsics.height, intrinsics.width):
            height, width = frame.depth.shape
            raise DataError(
                f"frame is {width}x{height} px but the camera is described as {intrinsics.width}x{intrinsics.height} "
                "px: set the camera's stream or the intrinsics so that they agree"
            )

        def look(window: Window, size_px: int) -> Look:
            columns, rows = window.sample_pixels(size_px)
            return Look(*frame.cut(window, size_px), columns.astype(float), rows.astype(float))

        found = self._locate(look, self._t_table_camera, intrinsics).fovea
        return PositionEstimate(found.xyz + self._table_m, found.sigma)

    def locate(self, photograph: Photograph, t_base_camera: Array, intrinsics: Intrinsics) -> Location:
        """Locate the TCP by asking for each look's window alone: two small pictures instead of one whole frame.

        It ignores what this is bound to: the camera may be another in every call, and the table lies at z = 0.

        Args:
            photograph: is called with a window of the native image and a size, as
                :meth:`datasets.scene.photographer.Photographer.photograph` draws it.
            t_base_camera: the camera's calibrated pose (4x4).
            intrinsics: of the native image.
        """

        def look(window: Window, size_px: int) -> Look:
            return Look(*photograph(window, size_px), *window.sample_coordinates(size_px))

        return self._locate(look, np.asarray(t_base_camera, dtype=float), intrinsics)

    def first_window(self, found: Location, intrinsics: Intrinsics) -> Window:
        """The window that the fovea was shown first, about the coarse estimate."""
        return self.rig.fovea_window(_before(found.t_base_camera, found.coarse.xyz), intrinsics)

    def _locate(self, look: Callable[[Window, int], Look], pose: Array, intrinsics: Intrinsics) -> Location:
        first = look(self._looks_rig.glance_window(pose, intrinsics), self.rig.input_px)
        targets, target_sigmas = self._run("glance", first, intrinsics, pose=pose)
        targets[0, 2] = max(targets[0, 2], NEAREST_M)

        bases, base_sigmas, _ = self._look_at(
            "base", look, self.rig.base_window, np.array(BASE_TARGET_M), pose, intrinsics
        )
        base = PositionEstimate(bases[0], base_sigmas[0] * self._sigma_scale["base"])
        checked = check_pose(pose, fit_table(first.points(intrinsics, pose)), base)
        pose = checked.t_base_camera

        def scaled(window: Window, size_px: int) -> Look:
            seen = look(window, size_px)
            return replace(seen, depth=seen.depth / np.float32(1 + checked.scale))

        glance_sigma = target_sigmas[0] * self._sigma_scale["glance"]
        coarse = glance = PositionEstimate(transform(pose, targets[0]).astype(np.float64), glance_sigma)
        places, place_sigmas = targets, target_sigmas
        if PARAFOVEA in self._sessions:
            places, place_sigmas, _ = self._look_at(
                PARAFOVEA, scaled, self.rig.parafovea_window, glance.xyz, pose, intrinsics
            )
            coarse = PositionEstimate(places[0], place_sigmas[0] * self._sigma_scale[PARAFOVEA])
        found, sigmas, window = self._look_at("fovea", scaled, self.rig.fovea_window, coarse.xyz, pose, intrinsics)
        answer, sigma = found[0], checked.widen(found[0], sigmas[0]) * self._sigma_scale["fovea"]
        evidence = NO_EVIDENCE
        if self._finds_landmarks:
            elbow = transform(pose, targets[-len(LANDMARKS["glance"])])
            wrist, axis = places[-len(LANDMARKS[PARAFOVEA]) :]
            offset_m = self.rig.tool.tcp_offset_m
            evidence = evidence_of(answer, place_sigmas[0], sigmas[0], elbow, wrist, axis, offset_m)
        # The fovea may be sure of something that is not the tool.
        if self._doubt is None and coarse.sigma.max() > LOST_M:
            sigma = np.maximum(sigma, coarse.sigma)
        elif self._doubt is not None and self._doubt.doubts(evidence):
            sigma = np.maximum(sigma, self._doubt.sigma_m)
        return Location(glance, coarse, PositionEstimate(answer, sigma), window, base, checked.moved, pose, evidence)

    def _look_at(
        self,
        name: str,
        look: Callable[[Window, int], Look],
        window_at: Callable[[Array, Intrinsics], Window],
        estimate: Exact,
        pose: Array,
        intrinsics: Intrinsics,
    ) -> tuple[Exact, Exact, Window]:
        """Look about a base-frame ``estimate`` ``(3,)`` m, and again about the answer where it lies far from there.

        Returns positions ``(K, 3)`` m of the look's targets, the answer first, their sigmas, and the last window.
        """
        for _ in range(MOST_LOOKS):
            window = window_at(_before(pose, estimate), intrinsics)
            answers, sigmas = self._run(name, look(window, self.rig.input_px), intrinsics, pose=pose, estimate=estimate)
            off_m = np.linalg.norm(answers[0] - estimate)
            estimate = answers[0]
            if off_m < RELOOK_M[name]:
                break
        return answers, sigmas, window

    def _run(self, name: str, look: Look, intrinsics: Intrinsics, **more: Array) -> tuple[Exact, Exact]:
        inputs = {
            "depth": look.depth,
            "columns": look.columns,
            "rows": look.rows,
            "intrinsics": intrinsics.as_array(),
            **more,
        }
        feed: dict[str, NDArray] = {key: np.asarray(value, dtype=np.float32)[None] for key, value in inputs.items()}
        xyz, sigma = self._sessions[name].run(["xyz", "sigma"], feed | {"rgb": look.rgb[None]})
        # A graph may give NaN as its sigma if all its votes came from one cell: then nothing is known.
        return xyz[0].astype(float), np.nan_to_num(sigma[0].astype(float), nan=LOST_SIGMA_M)


def _before(pose: Array, point_base: Array) -> Array:
    """A base-frame point ``(3,)`` m in the camera's frame, and never behind the camera."""
    point = transform(invert(pose), point_base)
    point[2] = max(point[2], NEAREST_M)
    return point


def _read_description(folder: Path, rig: Rig) -> dict:
    def parse(description: dict) -> tuple[dict, dict, list[str], list[Exact]]:
        if "envelope" not in description and "sigma_scale" in description:
            raise ModelError(f"{folder}: an estimator of version 0.1, for the camera of one rig only; {_AGAIN}")
        description["envelope"] = CameraEnvelope(**description["envelope"])
        further = [name for name in FURTHER_GRAPHS if name in description["sigma_scale"]]
        scales = [np.asarray(description["sigma_scale"][name], dtype=float) for name in (*GRAPHS, *further)]
        doubt = description.get("doubt")
        description["doubt"] = None if doubt is None else Doubt.from_json(doubt)
        return description, description["rig"], description["channels"], scales

    files = (DESCRIPTION, *GRAPHS.values())
    description, trained, channels, scales = read_description(folder, files, "model", _AGAIN, parse)
    if any(scale.shape != (3,) or not np.all((scale > 0) & (scale < _MOST_SCALE)) for scale in scales):
        raise ModelError(
            f"{folder / DESCRIPTION}: sigma_scale must hold three positive numbers for each look; {_AGAIN}"
        )
    if channels != CHANNELS:
        raise ModelError(f"{folder}: trained for the channels {channels}, but frames carry {CHANNELS}; {_AGAIN}")
    _require_fitting(folder, trained, rig)
    return description


def _require_fitting(folder: Path, trained: dict, rig: Rig) -> None:
    """Raise ModelError unless the networks know the rig's tool, wherever its TCP may be."""
    here, tool = rig_part(rig), trained.get("tool")
    if tool != here["tool"]:
        raise ModelError(
            f"{folder}: trained for the tool {_tool(tool)}, and {_tool(here['tool'])} is mounted; give the estimator "
            "of that tool (--estimator, estimator in params/runtime.yaml), or correct tool in the site file"
        )
    known = _workspace(trained)
    if known.contains(rig.workspace.low) and known.contains(rig.workspace.high):
        del here["workspace"]
    remedy = "restore the rig (a measured pose belongs into the calibration file) or train again"
    require_same_rig(folder, trained, here, remedy)


def _workspace(trained: dict) -> Workspace:
    """The box in which the networks know the TCP; the glance looks at it."""
    try:
        x, y, z = (tuple(trained["workspace"][axis]) for axis in ("x_m", "y_m", "z_m"))
        return Workspace(x, y, z)
    except (KeyError, TypeError, ValueError) as error:
        raise ModelError(f"{DESCRIPTION} has no workspace ({error!r}); {_AGAIN}") from error


def _tool(tool: Any) -> str:
    """A description's tool in words."""
    try:
        return f"{tool['name']} (TCP at {tool['tcp_offset_m']} m)"
    except (KeyError, TypeError):
        return repr(tool)
