"""What each part of the controller is worth: ``python -m control.ablation --config params/control.yaml``.

Every variant learns with several seeds on the surrogate's errors and is tested on the same episodes, with the delays it
learnt on and with longer ones. Outside the pipeline: minutes per variant and seed, resumed where it was interrupted.
"""

import argparse
import json
import shutil
import time
from collections.abc import Callable
from dataclasses import asdict, replace
from functools import partial
from pathlib import Path
from typing import Any, Literal

import torch as th

from control.learning.ddpg import BottleneckDDPG
from control.learning.trainer import AgentParams, learn, run_agent
from control.policies.policy import Policy
from control.policies.shipped import FusedProportionalPolicy, ProportionalPolicy
from control.task.dynamics import DynamicsParams
from control.task.env import EnvParams, ReachEnv
from control.task.episode_seeds import VALIDATION_SEED
from control.task.episodes import mean_and_half_width, run_episodes, summarize
from control.task.sources import ErrorModel, Surrogate, TrueState
from control.train import ControlParams, tune
from datasets.common.cli import command_line
from datasets.common.code_digest import code_digest, fingerprint
from datasets.common.config import load_params
from datasets.common.errors import DataError
from datasets.common.files import write_whole
from datasets.rig.rig import Rig

School = Literal["estimates", "true_state", "ideal_arm"]
LATENCIES_S = (0.0, 0.1, 0.2, 0.3)
"""Added to the camera's own delay."""
IDEAL: Literal["ideal_arm"] = "ideal_arm"
"""Key of the test on an arm that is at its target after one period, seen at once."""
CONDITIONS = (*map(str, LATENCIES_S), IDEAL)
COMPARISON_SEED = 2_120_000_000
"""First of the episodes that agents are compared on: none that any other figure comes from, see
:mod:`control.task.episode_seeds`."""


def variants(agent: AgentParams) -> dict[str, tuple[AgentParams, School]]:
    """Agents to compare, and what they learn on; all are tested on estimates, with delays and on an ideal arm."""
    plain = replace(agent, residual_gain=0.0, actor_starts=0, warm_up=agent.steps // 10, gamma=0.5, learning_rate=2e-3)
    return {
        "ddpg": (agent, "estimates"),
        "no_controller_beneath": (plain, "estimates"),
        "no_controller_beneath_learnt_on_an_ideal_arm": (plain, IDEAL),
        "larger_correction": (replace(agent, residual_scale=3 * agent.residual_scale), "estimates"),
        "short_sighted": (replace(agent, gamma=0.5), "estimates"),
        "critic_without_head_start": (replace(agent, actor_starts=0), "estimates"),
        "learnt_on_true_state": (agent, "true_state"),
        "learnt_on_an_ideal_arm": (agent, IDEAL),
    }


def conditions_of(env: EnvParams) -> dict[str, EnvParams]:
    """The episodes that every variant is tested on, by ``CONDITIONS``."""
    ideal = replace(env, dynamics=DynamicsParams(model="kinematic"))
    return {str(latency_s): _later(env, latency_s) for latency_s in LATENCIES_S} | {IDEAL: ideal}


def table_digest(params: ControlParams, rig: Rig) -> str:
    """Twelve hexadecimal digits of all that the table's rows follow from but the seeds of learning.

    Raises:
        DataError: the control stage has not measured the estimator's errors yet.
    """
    model, gains = _measured(params)
    learnt = {name: [asdict(agent), school] for name, (agent, school) in variants(params.agent).items()}
    tested = {name: asdict(env) for name, env in conditions_of(params.env).items()}
    values = [learnt, tested, asdict(params.evaluation), asdict(model), gains, rig.to_json()]
    return fingerprint([*values, code_digest("control.train"), COMPARISON_SEED])


def run(params: ControlParams, rig: Rig, seeds: list[int], only: list[str]) -> dict[str, Any]:
    """Train and test what has not been yet; returns the table it wrote to ``results/control/ablation.json``."""
    th.set_num_threads(1)
    model, gains = _measured(params)
    table = Path(params.results) / "ablation.json"
    key = table_digest(params, rig)
    found: dict[str, Any] = {"fingerprint": key, "variants": {}, "baselines": {}}
    if table.is_file() and json.loads(table.read_text())["fingerprint"] == key:
        found = json.loads(table.read_text())
    tests = range(COMPARISON_SEED, COMPARISON_SEED + params.evaluation.episodes)

    def keep() -> None:
        write_whole(table, json.dumps(found, indent=2) + "\n")

    settings = conditions_of(params.env)

    def env(condition: str, school: School = "estimates") -> ReachEnv:
        return ReachEnv(settings[condition], TrueState() if school == "true_state" else Surrogate(model), rig)

    conditions: dict[str, Callable[[], ReachEnv]] = {name: partial(env, name) for name in CONDITIONS}
    if not found["baselines"]:
        for condition, make_env in conditions.items():
            policies: dict[str, Callable[[], Policy]] = {
                "proportional": partial(ProportionalPolicy, gains[0], rig.max_displacement_m),
                "proportional_fused": partial(
                    FusedProportionalPolicy, gains[1], rig.max_displacement_m, 1 / rig.rate_hz
                ),
            }
            # What a plain controller could do if the latency were known: an answer, not a rival (docs/control.md).
            retuned = tune(params.evaluation, make_env, rig)["proportional"]
            policies["proportional_retuned"] = partial(ProportionalPolicy, retuned, rig.max_displacement_m)
            for name, episodes in run_episodes(policies, make_env, tests, label=condition).items():
                found["baselines"].setdefault(name, {})[condition] = summarize(episodes)
        keep()
    chosen = {name: value for name, value in variants(params.agent).items() if not only or name in only}
    for name, (agent, school) in chosen.items():
        for seed in seeds:
            if str(seed) in found["variants"].get(name, {}):
                continue
            folder = Path(params.runs) / f"ablation_{key}_{name}_{seed}"
            began = time.monotonic()
            validation = range(VALIDATION_SEED, VALIDATION_SEED + params.evaluation.validation_episodes)
            make_env = partial(env, IDEAL if school == IDEAL else str(LATENCIES_S[0]), school)
            learn(make_env, agent, seed, validation, params.evaluation.interval, folder, f"{name}, seed {seed}")
            seconds = round(time.monotonic() - began, 1)
            best = BottleneckDDPG.load(folder / "best.zip", device="cpu")
            row = {name: summarize(run_agent(best, make(), tests)) for name, make in conditions.items()}
            found["variants"].setdefault(name, {})[str(seed)] = {**row, "train_s": seconds}
            found["summary"] = _summary(found["variants"])
            keep()
            shutil.rmtree(folder)
    return found


def _summary(variants: dict[str, dict[str, Any]]) -> dict[str, Any]:
    """Per variant and condition: mean over the seeds, and half the width of its 95 % interval (Student's t)."""
    summary: dict[str, Any] = {}
    for name, seeds in variants.items():
        for condition in CONDITIONS:
            cell: dict[str, float] = {"seeds": len(seeds)}
            for key in ("median_mm", "p95_mm", "success_5mm", "success_10mm", "mean_reward"):
                interval = mean_and_half_width([one[condition][key] for one in seeds.values()])
                cell[key] = interval["mean"]
                if "half_width" in interval:
                    cell[f"{key}_half_width"] = interval["half_width"]
            summary.setdefault(name, {})[condition] = cell
    return summary


def _later(params: EnvParams, latency_s: float) -> EnvParams:
    low, high = params.dynamics.camera_delay_s
    return replace(params, dynamics=replace(params.dynamics, camera_delay_s=(low + latency_s, high + latency_s)))


def _measured(params: ControlParams) -> tuple[ErrorModel, tuple[float, float]]:
    """The estimator's errors and the two tuned gains, as the control stage found them."""
    metrics = Path(params.results) / "metrics.json"
    if not metrics.is_file():
        raise DataError(f"{metrics}: no such file; run `python -m control.train` first, which measures the estimator")
    values = json.loads(metrics.read_text())
    baselines = values["baselines"]
    gains = baselines["proportional"]["gain"], baselines["proportional_fused"]["gain"]
    model: dict[str, Any] = {
        key: tuple(one) if isinstance(one, list) else one for key, one in values["error_model"].items()
    }
    return ErrorModel(**model), gains


def main(arguments: list[str] | None = None) -> None:
    """Parse the command line and run the comparison."""
    parser = argparse.ArgumentParser(prog="python -m control.ablation", description=__doc__)
    parser.add_argument("--config", default="params/control.yaml", help="parameter file (default: %(default)s)")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2], help="of learning (default: 0 1 2)")
    parser.add_argument("--only", nargs="*", default=[], metavar="VARIANT", help="variants to run (default: all)")
    options = parser.parse_args(arguments)
    with command_line(parser.prog):
        found = run(load_params(options.config, ControlParams), Rig.load(), options.seeds, options.only)
        titles = [*(f"+{latency} s" for latency in LATENCIES_S), "ideal arm"]
        print(f"{'median / 95th percentile, mm':56}" + "".join(f"{title:>14}" for title in titles))
        for name, row in found["baselines"].items():
            print(f"{name:56}" + "".join(_cell(row[condition]) for condition in CONDITIONS))
        for name, row in found["summary"].items():
            title = f"{name} ({len(found['variants'][name])} seeds)"
            print(f"{title:56}" + "".join(_cell(row[condition]) for condition in CONDITIONS))


def _cell(figures: dict[str, float]) -> str:
    text = f"{figures['median_mm']:.1f} / {figures['p95_mm']:.1f}"
    return f"{text:>14}"


if __name__ == "__main__":
    main()
