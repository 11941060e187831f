"""This project's side of each row, and that of the peers that need no separate environment."""

import time
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import replace

import gymnasium
import mujoco
import numpy as np
import pytorch_lightning as pl
import torch
from stable_baselines3 import HerReplayBuffer
from stable_baselines3.common.vec_env import DummyVecEnv

from control.learning.buffers import FrameHerReplayBuffer, memory_bytes
from control.learning.params import ControlParams
from control.learning.pretrained import make_true_env
from control.learning.trainer import NumberedEpisodes, make_agent
from datasets.arm.kinematics import Kinematics, ReachError, pointing_down
from datasets.arm.model import arm_spec
from datasets.arm.official import menagerie_available
from datasets.common.config import load_params
from datasets.rig.frame import Frame
from datasets.rig.projection import Array, invert, project, transform, window_intrinsics
from datasets.rig.rig import Rig
from datasets.scene.photographer import Photographer
from datasets.scene.randomization import CameraRandomization, LookRandomization, Randomization
from datasets.scene.renderer import Renderer
from datasets.scene.scene import SceneSampler
from datasets.scene.world import build_world
from datasets.store.datamodule import FramesDataModule
from perception.calibration.registration.motion import places
from perception.calibration.rigid_fit import fit_rigid_robust
from perception.estimator.estimator import PositionEstimator
from perception.training.regressor import Regressor
from studies.peers.environment import Peers
from studies.peers.her import learn_her, learn_until
from studies.peers.registration import registration
from studies.peers.row import Row, difference, in_turns, rate, row

LIMIT_M = 0.05


def drawing(peers: Peers) -> list[Row]:
    """Colour and depth of a scene, compared with MuJoCo's own renderer on the same shapes."""
    rig = Rig.load()
    sampler, photographer = SceneSampler(rig, Randomization()), Photographer(rig)
    scenes = [sampler.sample(seed) for seed in range(40)]
    model = build_world("own")
    data = mujoco.MjData(model)
    camera = mujoco.MjvCamera()
    camera.lookat, camera.distance, camera.azimuth, camera.elevation = rig.camera_look_at_m, 1.1, 180.0, -18.0

    def plain(number: int) -> None:
        data.qpos[:7] = scenes[number].joints_rad
        mujoco.mj_forward(model, data)
        renderer.disable_depth_rendering()
        renderer.update_scene(data, camera)
        renderer.render()
        renderer.enable_depth_rendering()
        renderer.render()

    def same(number: int) -> None:
        data.qpos[:7] = scenes[number].joints_rad
        mujoco.mj_forward(model, data)
        own.update(data)
        own.render(scenes[number].t_base_camera, seen)

    def whole(number: int) -> None:
        photographer.photograph(scenes[number], rig.picture_window, rig.input_px)

    own, seen = Renderer(model, rig.input_px, rig.input_px), window_intrinsics(rig.camera, rig.picture_window, 84)
    with closing(photographer), closing(own), mujoco.Renderer(model, rig.input_px, rig.input_px) as renderer:
        alike, frame, theirs = in_turns(*(lambda draw=draw: rate(draw, len(scenes)) for draw in (same, whole, plain)))  # type: ignore[misc]
    peer, note = ("mujoco.Renderer", theirs), "the same shapes and postures at 84x84"
    more = f"{note}; ours with new colours, textures and lights each time, and the errors of both sensors"
    return [
        row("Drawing colour and depth", "1/s", ("Renderer", alike), peer, True, note),
        row("Drawing a frame to train on, against a bare one", "1/s", ("Photographer", frame), peer, True, more),
        *official(rig, frame),
    ]


def official(rig: Rig, frames_per_s: float) -> list[Row]:
    """The arm's official meshes, drawn by MuJoCo's own renderer, if they are available."""
    if menagerie_available() is not None:
        return []
    model = arm_spec("menagerie", decimate=False).compile()
    data = mujoco.MjData(model)
    mujoco.mj_forward(model, data)

    def draw(number: int) -> None:
        renderer.disable_depth_rendering()
        renderer.update_scene(data)
        renderer.render()
        renderer.enable_depth_rendering()
        renderer.render()

    with mujoco.Renderer(model, rig.input_px, rig.input_px) as renderer:
        (theirs,) = in_turns(lambda: rate(draw, 10))
    sides = ("Photographer, own shapes", frames_per_s), ("mujoco.Renderer, official meshes", theirs)
    return [row("Drawing the arm as each comes", "1/s", *sides, True, "the official meshes have 18 times the faces")]


def pixels(peers: Peers) -> list[Row]:
    """Steps of an environment that returns a picture."""
    env = gymnasium.make("control.task:Sim2RealReachImage-v0")
    env.action_space.seed(0)

    def step(number: int) -> None:
        if number % 50 == 0:
            env.reset(seed=number)
        env.step(env.action_space.sample())

    with closing(env):
        env.reset(seed=0)
        ours, theirs = in_turns(lambda: rate(step, 50), lambda: peers.ask("fetch_pixels", steps=50, size_px=84))
    note = "84x84 colour; ours with a new scene and new sensor errors, but a model of the arm in place of its physics"
    names = ("Sim2RealReachImage-v0", ours), ("FetchReach-v4, rgb_array", theirs)
    return [row("Environment with pixels", "steps/s", *names, True, note)]


def learning(peers: Peers, seed: int = 0, most_steps: int = 10_000) -> list[Row]:
    """Learning until all test episodes end within the tasks' 0.05 m: published DDPG with hindsight, on both tasks."""
    rig, params = Rig.load(), load_params("params/control.yaml", ControlParams)
    sparse = replace(params.env, reward=replace(params.env.reward, kind="sparse"))
    bare = replace(  # as in control.ablation
        params.agent, residual_gain=0.0, actor_starts=0, gamma=0.5, learning_rate=2e-3, steps=most_steps
    )
    env, test = NumberedEpisodes(make_true_env(params.env, rig), base=1), make_true_env(params.env, rig)
    ours = learn_until(make_agent(env, bare, seed), test, LIMIT_M, most_steps)
    fetch = peers.ask("fetch_learn", most_steps=most_steps, seed=seed)
    here = learn_her(make_true_env(sparse, rig), make_true_env(sparse, rig), LIMIT_M, most_steps, seed)
    name = "asymmetric DDPG, dense reward, no controller beneath"
    sides = (
        ("FetchReach, DDPG+HER", fetch, "each on its own task; ours with random delays and lags of arm and camera"),
        ("our task, DDPG+HER", here, "both on our task from the true state"),
    )
    return [
        row(
            f"Learning to 100 % within 50 mm, {unit}",
            unit,
            (name, ours[key]),
            (peer, theirs[key]),
            False,
            f"{note}; at the end {100 * ours['share']:.0f} % and {100 * theirs['share']:.0f} %",
        )
        for peer, theirs, note in sides
        for key, unit in (("steps", "steps"), ("cpu_s", "s"))
    ]


def looks(peers: Peers, cpu_s: float = 30.0) -> list[Row]:
    """Networks of one look, trained on equal frames with equal processor time."""
    torch.set_num_threads(1)
    nets = {"voting:64x4": 0.003, "conv3": 0.003, "timm:regnetx_002": 0.002}
    data = {name: FramesDataModule("glance", batch_size=32 if name.startswith("voting") else 64) for name in nets}
    cost = dict.fromkeys(nets, 0.0)
    for _ in range(3):
        for name, rate_ in nets.items():
            cost[name] += _trained(name, rate_, data[name], 8, judged=False)[1] / 24
    found = {
        name: _trained(name, rate_, data[name], max(round(cpu_s / cost[name]), 10))[0] for name, rate_ in nets.items()
    }
    note = f"one look at 84x84 RGB-D, {cpu_s:.0f} s of processor time each, first 1,024 frames of val"
    return [
        row("Median error of one look", "mm", ("voting cells", found["voting:64x4"]), (what, found[name]), False, note)
        for what, name in (("the original's three layers", "conv3"), ("timm regnetx_002", "timm:regnetx_002"))
    ]


def _trained(
    backbone: str, learning_rate: float, data: FramesDataModule, steps: int, judged: bool = True
) -> tuple[float, float]:
    """Median error (mm) after so many steps from scratch, and the processor time (s) of the steps."""
    pl.seed_everything(1, verbose=False)
    quiet = {"accelerator": "cpu", "logger": False, "enable_checkpointing": False, "enable_progress_bar": False}
    trainer = pl.Trainer(max_steps=steps, limit_val_batches=0, enable_model_summary=False, **quiet)
    model = Regressor("glance", backbone, learning_rate=learning_rate)
    began = time.process_time()
    trainer.fit(model, datamodule=data)
    spent = time.process_time() - began
    judge = pl.Trainer(limit_val_batches=max(1024 // data.batch_size, 1), **quiet)
    (values,) = judge.validate(model, datamodule=data, verbose=False) if judged else ({"val/median_mm": float("nan")},)
    return float(values["val/median_mm"]), spent


def replay(peers: Peers, episodes: int = 8) -> list[Row]:
    """Memory per transition with pictures, and speed of sampling batches: Stable-Baselines3's own buffer and ours."""
    env = DummyVecEnv([lambda: gymnasium.make("control.task:Sim2RealReachImage-v0")])
    spaces = env.observation_space, env.action_space
    size = 50 * episodes
    ours = FrameHerReplayBuffer(size, *spaces, env, device="cpu", n_sampled_goal=4)  # type: ignore[arg-type]
    theirs = HerReplayBuffer(size, *spaces, env, device="cpu", n_sampled_goal=4)  # type: ignore[arg-type]
    seen = env.reset()
    for _ in range(size):
        action = np.array([env.action_space.sample()])
        after, reward, done, infos = env.step(action)
        final = {key: np.array([infos[0]["terminal_observation"][key]]) for key in after} if done[0] else after
        for buffer in (ours, theirs):
            buffer.add(seen, final, action, reward, done, infos)  # type: ignore[arg-type]
        seen = after
    speed = in_turns(*(lambda buffer=buffer: rate(lambda _: buffer.sample(128), 5) for buffer in (ours, theirs)))  # type: ignore[misc]
    env.close()
    kilobytes = [memory_bytes(buffer) / size / 1e3 for buffer in (ours, theirs)]
    names = "FrameHerReplayBuffer", "stable_baselines3 HerReplayBuffer"
    note = "84x84 colour, 400 transitions of whole episodes"
    return [
        row("Memory of a transition", "kB", (names[0], kilobytes[0]), (names[1], kilobytes[1]), False, note),
        row("Drawing a batch of 128", "1/s", (names[0], speed[0]), (names[1], speed[1]), True, note),
    ]


def calibration(peers: Peers, rests: int = 20, cameras: int = 5) -> list[Row]:
    """The camera's pose from ``rests`` rests of the arm: by the networks, and by a board in the gripper with OpenCV."""
    rig = Rig.load()
    plain = LookRandomization(wild_arm=0.0, occluder=0.0)
    moved = CameraRandomization(offset_m=0.03, rotation_deg=2.0)
    sampler, photographer = SceneSampler(rig, Randomization(camera=moved, look=plain)), Photographer(rig)
    kinematics, estimator = Kinematics(), PositionEstimator.load(rig=rig)
    errors: dict[str, list[Array]] = {}
    with closing(photographer):
        for seed in range(cameras):
            scene, rng = sampler.sample(seed), np.random.default_rng(seed)
            frames, truth, poses, corners = [], [], [], []
            for number in range(rests):
                place, joints = _reached(kinematics, rig, rng)
                here = replace(scene, joints_rad=joints, tcp=kinematics.tcp(joints))
                frames.append(Frame(*photographer.photograph_native(here, number), timestamp=float(number)))
                truth.append(here.tcp)
                pose = kinematics.tcp_pose(_reached(kinematics, rig, rng, place)[1])
                poses.append(pose.tolist())
                points = transform(invert(scene.t_base_camera), transform(pose, _board()))
                corners.append((project(points, rig.camera) + rng.normal(0, 0.2, (len(points), 2))).tolist())
            found = {"ours": _by_the_networks(frames, np.array(truth), estimator, rig)}
            matrix = [[rig.camera.fx, 0, rig.camera.cx], [0, rig.camera.fy, rig.camera.cy], [0, 0, 1]]
            found |= peers.ask(
                "hand_eye", t_base_tcp=poses, corners=corners, board=_board(flat=True).tolist(), matrix=matrix
            )
            for name, pose in found.items():
                errors.setdefault(name, []).append(
                    difference(np.array(pose), scene.t_base_camera, places(rig.workspace))
                )
    medians = {name: np.median(values, axis=0) for name, values in errors.items()}
    best = min((name for name in medians if name != "ours"), key=lambda name: float(medians[name][0]))
    board = f"OpenCV calibrateHandEye ({best}), board of 48 corners"
    sides = ("the networks, no board", medians["ours"]), (board, medians[best])
    note = f"{rests} rests, {cameras} cameras; the board's corners are computed, 0.2 px of noise; tilts to 20 deg"
    return [
        row(f"Camera's pose, {unit}", unit, *((name, float(value[key])) for name, value in sides), False, note)
        for key, unit in enumerate(("mm", "deg"))
    ]


def _reached(
    kinematics: Kinematics, rig: Rig, rng: np.random.Generator, place: Array | None = None
) -> tuple[Array, Array]:
    """A place of the workspace and joints (rad) for it, pointing down; turned and tilted if the place is given."""
    while True:
        xyz = rng.uniform(rig.workspace.low + 0.04, rig.workspace.high - 0.04) if place is None else place
        turned = None if place is None else pointing_down(rng.uniform(-0.6, 0.6), rng.uniform(-0.35, 0.35, 2))
        try:
            return xyz, kinematics.solve(xyz, rig.home_joints_rad, turned)
        except ReachError:
            continue


def _by_the_networks(frames: Sequence[Frame], truth: Array, estimator: PositionEstimator, rig: Rig) -> Array:
    """``T_base_camera`` (4x4) by the rounds of ``pipelines.calibrate``: first by the glance, then by the fovea."""
    pose = rig.t_base_camera
    for round_ in range(5):
        found = [estimator.locate(frame.cut, pose, rig.camera) for frame in frames]
        answers = [(each.t_base_camera, (each.coarse if round_ == 0 else each.fovea).xyz) for each in found]
        pose = fit_rigid_robust(truth, [transform(invert(by), xyz) for by, xyz in answers])[0]
    return np.asarray(pose)


def _board(flat: bool = False) -> Array:
    """Corners ``(48, 3)`` m of a chessboard: in its own frame where ``flat``, else in the TCP's, facing the camera."""
    across, along = np.meshgrid(0.02 * np.arange(8), 0.02 * np.arange(6))
    if flat:
        return np.stack([across, along, 0 * across], axis=-1).reshape(-1, 3)
    return np.stack([np.full_like(across, -0.03), across - 0.07, along - 0.1], axis=-1).reshape(-1, 3)


ROWS: dict[str, Callable[[Peers], Sequence[Row]]] = {
    "drawing": drawing,
    "pixels": pixels,
    "replay": replay,
    "calibration": calibration,
    "registration": registration,
    "looks": looks,
    "learning": learning,
}
