"""The shipped policies: the trained actor without its trainer, and the proportional controllers to compare it with."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
from numpy.typing import NDArray

from control.policies.delay_fusion import MotionFusion
from control.policies.features import SIZE, FeatureEncoder
from control.policies.policy import Observation, Policy
from datasets.common.errors import ModelError
from datasets.common.files import location
from datasets.rig.rig import Rig
from perception.estimator.graphs import open_graph_file
from perception.estimator.model_folder import read_description, require_same_rig

POLICY_FOLDER = Path("models/policy")
GRAPH = "actor.onnx"
DESCRIPTION = "policy.json"
KIND = "ddpg"

Displacement = NDArray[np.float64]


def limit_length(vector: NDArray, longest: float) -> Displacement:
    """The vector ``(3,)``, shortened to ``longest`` where it is longer."""
    length = float(np.linalg.norm(vector))
    return np.asarray(vector if length <= longest else vector * (longest / length), dtype=np.float64)


class ProportionalPolicy:
    r"""Moves the target by :math:`\kappa (g - \hat s)`, at most ``max_displacement_m``: the baseline of every report.

    The target sums up all displacements, so this is an integral controller of the TCP, and a late picture limits
    :math:`\kappa`: with :math:`d` periods of delay it is stable below :math:`2 \sin(\pi / (4 d + 2))`.
    """

    def __init__(self, gain: float, max_displacement_m: float) -> None:
        self.gain = gain
        self._longest = max_displacement_m

    def reset(self) -> None:
        """Nothing is remembered."""

    def act(self, observation: Observation) -> Displacement:
        """The displacement ``(3,)`` m."""
        return limit_length(self.gain * (observation.goal - observation.estimate.xyz), self._longest)

    def hold(self, last_command: Displacement) -> None:
        """Nothing is remembered."""


class FusedProportionalPolicy:
    r"""Moves the target by :math:`\kappa (g - \hat x)`, where :math:`\hat x` is the fused rest point.

    The trained actor starts from this controller. Reports list both, to show what learning adds.
    """

    def __init__(self, gain: float, max_displacement_m: float, period_s: float) -> None:
        self.gain = gain
        self._longest = max_displacement_m
        self._fusion = MotionFusion(period_s)

    def reset(self) -> None:
        """Forget the episode."""
        self._fusion.reset()

    def act(self, observation: Observation) -> Displacement:
        """The displacement ``(3,)`` m."""
        fused = self._fusion.update(observation.estimate, observation.last_command)
        return limit_length(self.gain * (observation.goal - fused.rest), self._longest)

    def hold(self, last_command: Displacement) -> None:
        """Let a period pass without an estimate."""
        self._fusion.predict(last_command)


class ActorPolicy:
    """The trained actor, run by ONNX Runtime on one thread; its only memory within an episode is its filter."""

    def __init__(self, session: onnxruntime.InferenceSession, rig: Rig) -> None:
        self._session = session
        self._longest = rig.max_displacement_m
        self._encoder = FeatureEncoder(1 / rig.rate_hz)

    def reset(self) -> None:
        """Forget the episode."""
        self._encoder.reset()

    def act(self, observation: Observation) -> Displacement:
        """The displacement ``(3,)`` m."""
        feed = {
            "observation": self._encoder.encode(observation)[None],
            "desired_goal": observation.goal.astype(np.float32)[None],
        }
        (action,) = self._session.run(["action"], feed)
        return limit_length(np.asarray(action)[0] * self._longest, self._longest)

    def hold(self, last_command: Displacement) -> None:
        """Let a period pass without an estimate."""
        self._encoder.hold(last_command)


def rig_part(rig: Rig) -> dict:
    """The parts of a rig that a policy is trained with; the camera's pose concerns only the estimator."""
    whole = rig.to_json()
    return {key: whole[key] for key in ("workspace", "tool", "home_joints_rad", "rate_hz", "max_displacement_m")}


def _needed(rig: Rig, trained: Mapping[str, Any]) -> dict:
    """The parts of a rig that must be as in training.

    With another tool, the TCP moves in the same way from a home posture of its own, so that both may differ.
    """
    part = rig_part(rig)
    if trained.get("tool") != part["tool"]:
        del part["tool"], part["home_joints_rad"]
    return part


def describe(rig: Rig, kind: str = KIND) -> dict:
    """Returns the part of ``policy.json`` that :func:`open_actor` checks."""
    return {"kind": kind, "features": SIZE, "rig": rig_part(rig)}


def load_policy(folder: str | Path = POLICY_FOLDER, rig: Rig | None = None, kind: str = KIND) -> Policy:
    """Opens the policy of kind ``kind`` in ``folder`` for ``rig`` (default: ``params/rig.yaml``).

    Raises:
        ModelError: a file is missing or damaged, or the policy was trained for another rig or other inputs.
    """
    rig = Rig.load() if rig is None else rig
    return ActorPolicy(open_actor(Path(location(folder)), rig, kind), rig)


def open_actor(folder: Path, rig: Rig, kind: str) -> onnxruntime.InferenceSession:
    """Returns the network of a policy's folder after checking it; raises ModelError if it does not fit."""
    again = "train it with `python -m control.train`, or take the repository's models"

    def parse(description: dict) -> tuple[dict, int, str]:
        return description["rig"], description["features"], description["kind"]

    trained, features, trained_kind = read_description(folder, (DESCRIPTION, GRAPH), "policy", again, parse)
    if trained_kind != kind:
        raise ModelError(f"{folder}: holds a policy of kind {trained_kind!r}, where {kind!r} is expected")
    if features != SIZE:
        raise ModelError(f"{folder}: trained on {features} features, but this version computes {SIZE}; {again}")
    require_same_rig(folder, trained, _needed(rig, trained), "restore params/rig.yaml or train the policy again")
    return open_graph_file(folder / GRAPH, again)
