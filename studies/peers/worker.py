"""The peers' side of each row, run by the interpreter of their own environment; see ``environment.py``.

Reads one JSON list ``[function, arguments]`` per line and answers each with one line of JSON.
"""

import json
import os
import sys
import time
from pathlib import Path
from typing import Any

os.environ.setdefault("MUJOCO_GL", "egl")
sys.path.insert(0, str(Path(__file__).resolve().parents[2]))
sys.path.pop(1)  # this folder, whose modules are not to be imported by their bare names

import cv2
import gymnasium
import gymnasium_robotics
import numpy as np
import torch
from roboreg.registration.point_cloud.hydra import centroid_alignment, point_to_plane_robust_icp

from studies.peers.her import learn_her

gymnasium.register_envs(gymnasium_robotics)
FETCH, LIMIT_M = "FetchReach-v4", 0.05
_kept: dict[str, gymnasium.Env] = {}


def fetch_pixels(steps: int, size_px: int) -> float:
    """Steps of FetchReach per second of processor time, with a picture for each step."""
    if FETCH not in _kept:
        _kept[FETCH] = gymnasium.make(FETCH, render_mode="rgb_array", width=size_px, height=size_px)
        _kept[FETCH].reset(seed=0)
        _kept[FETCH].render()
    env = _kept[FETCH]
    env.action_space.seed(0)
    began = time.process_time()
    for step in range(steps):
        if step % 50 == 0:
            env.reset(seed=step)
        env.step(env.action_space.sample())
        env.render()
    return steps / (time.process_time() - began)


def fetch_learn(most_steps: int, seed: int) -> dict[str, Any]:
    """Published DDPG with hindsight on FetchReach, until every test episode ends within the task's 0.05 m."""
    return learn_her(gymnasium.make(FETCH), gymnasium.make(FETCH), LIMIT_M, most_steps, seed)


def hand_eye(
    t_base_tcp: list[list[list[float]]], corners: list[list[list[float]]], board: list[list[float]], matrix: list
) -> dict[str, list[list[float]]]:
    """The camera's pose in the base frame, by each of OpenCV's methods, from a board that the gripper holds.

    Args:
        t_base_tcp: poses of the TCP by the encoders, (N, 4, 4).
        corners: the board's corners in the pictures, (N, M, 2) px.
        board: the board's corners in its own frame, (M, 3) m.
        matrix: the camera's matrix.
    """
    turns, shifts = [], []
    for seen in corners:
        _, turn, shift = cv2.solvePnP(np.array(board), np.array(seen), np.array(matrix), None)
        turns.append(cv2.Rodrigues(turn)[0])
        shifts.append(shift)
    inverse = [np.linalg.inv(pose) for pose in np.array(t_base_tcp)]  # eye to hand: the roles of base and gripper swap
    found = {}
    for name in ("TSAI", "PARK", "HORAUD", "ANDREFF", "DANIILIDIS"):
        method = getattr(cv2, f"CALIB_HAND_EYE_{name}")
        turn, shift = cv2.calibrateHandEye(
            [each[:3, :3] for each in inverse], [each[:3, 3] for each in inverse], turns, shifts, method=method
        )
        pose = np.eye(4)
        pose[:3, :3], pose[:3, 3] = turn, shift[:, 0]
        found[name.lower()] = pose.tolist()
    return found


def hydra(clouds: str) -> list[list[float]]:
    """The camera's pose in the base frame by roboreg's robust point-to-plane ICP, started as by its own command.

    Args:
        clouds: an npz file with, for each posture i, ``observed_i`` (N, 3) of the camera frame and ``reference_i``,
            ``normals_i`` (M, 3) of the arm's surface in the base frame; m.
    """
    with np.load(clouds) as kept:
        count = len(kept.files) // 3
        observed, reference, normals = (
            [torch.from_numpy(kept[f"{name}_{i}"]).float() for i in range(count)]
            for name in ("observed", "reference", "normals")
        )
    start = centroid_alignment(observed, reference)
    # The numbers of rounds are those of its configuration, HydraRobustICPConfig of version 0.6.7.
    found = point_to_plane_robust_icp(
        start, observed, reference, normals, max_outer_iterations=50, max_inner_iterations=10
    )
    return found.extrinsics.tolist()


if __name__ == "__main__":
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # what libraries print on stdout goes to stderr
    for line in sys.stdin:
        function, arguments = json.loads(line)
        print(json.dumps(globals()[function](**arguments)), file=answers, flush=True)
