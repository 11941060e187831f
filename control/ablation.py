"""Measures what each part of the controller is worth: ``python -m control.ablation --config params/control.yaml``.

Every variant learns with several seeds on the surrogate's errors and is tested on the same episodes, with the delays it
learnt on and with longer ones: a minute per variant and seed. ``dvc repro studies/dvc.yaml:ablation`` does the same and
keeps what is finished.
"""

import json
import tempfile
import time
from collections.abc import Callable
from dataclasses import asdict, replace
from functools import partial
from pathlib import Path
from typing import Any, Literal

if __name__ == "__main__":  # checked before torch and the other training packages are imported
    from datasets.common.training_packages import require_training

    require_training("control.ablation")

from control.learning.params import FUSED, PROPORTIONAL, AgentParams, ControlParams
from control.learning.study import Rows, add_options, merged, read_table, run_rows
from control.policies.policy import Policy
from control.policies.shipped import FusedProportionalPolicy, ProportionalPolicy
from control.task.dynamics import DynamicsParams
from control.task.env import EnvParams, ReachEnv
from control.task.episode_seeds import VALIDATION_SEED
from control.task.episodes import mean_and_half_width, run_episodes, summarize
from control.task.measured import error_model, tuned_gain
from control.task.sources import ErrorModel, Surrogate, TrueState
from datasets.common.cli import CommandParser, command_line, require_writable, require_writable_folder
from datasets.common.code_digest import fingerprint
from datasets.common.config import load_params
from datasets.common.files import write_whole
from datasets.rig.rig import Rig

LearntOn = Literal["estimates", "true_state", "ideal_arm"]
LATENCIES_S = (0.0, 0.1, 0.2, 0.3)
"""Latencies, s, that the tests add to the camera's own delay."""
IDEAL: Literal["ideal_arm"] = "ideal_arm"
"""Key of the test on an arm that is at its target after one period, and is seen without delay."""
CONDITIONS = (*map(str, LATENCIES_S), IDEAL)
COMPARISON_SEED = 2_120_000_000
"""First seed of the episodes that agents are compared on; no other figure uses these episodes, see
:mod:`control.task.episode_seeds`."""


def _bare(agent: AgentParams) -> AgentParams:
    """Settings of an actor that does not correct a controller."""
    return replace(agent, residual_gain=0.0, actor_starts=0, warm_up=agent.steps // 10, gamma=0.5, learning_rate=2e-3)


VARIANTS: dict[str, tuple[Callable[[AgentParams], AgentParams], LearntOn]] = {
    "ddpg": (lambda agent: agent, "estimates"),
    "no_controller_beneath": (_bare, "estimates"),
    "no_controller_beneath_learnt_on_an_ideal_arm": (_bare, IDEAL),
    "larger_correction": (lambda agent: replace(agent, residual_scale=3 * agent.residual_scale), "estimates"),
    "short_sighted": (lambda agent: replace(agent, gamma=0.5), "estimates"),
    "critic_without_head_start": (lambda agent: replace(agent, actor_starts=0), "estimates"),
    "learnt_on_true_state": (lambda agent: agent, "true_state"),
    "learnt_on_an_ideal_arm": (lambda agent: agent, IDEAL),
}
"""Per variant: how the agent's settings are changed, and what it learns on. All variants are tested on estimates, with
delays and on an ideal arm."""


def conditions_of(env: EnvParams) -> dict[str, EnvParams]:
    """The episodes that every variant is tested on, by ``CONDITIONS``."""
    ideal = replace(env, dynamics=DynamicsParams(model="kinematic"))
    return {str(latency_s): _later(env, latency_s) for latency_s in LATENCIES_S} | {IDEAL: ideal}


def make_env(params: ControlParams, rig: Rig, condition: str, learnt_from: LearntOn = "estimates") -> ReachEnv:
    """One of the ``CONDITIONS``, with positions as the agent was given them while learning."""
    source = TrueState() if learnt_from == "true_state" else Surrogate(measured(params)[0])
    return ReachEnv(conditions_of(params.env)[condition], source, rig)


def learn_variant(params: ControlParams, rig: Rig, name: str, seed: int) -> dict[str, Any]:
    """Train a variant; returns its figures by condition, and ``train_s``."""
    from control.learning.ddpg import BottleneckDDPG  # late, for a quick --help
    from control.learning.trainer import learn, run_agent

    change, learnt_from = VARIANTS[name]
    agent = change(params.agent)
    learnt_on = partial(make_env, params, rig, IDEAL if learnt_from == IDEAL else str(LATENCIES_S[0]), learnt_from)
    validation = range(VALIDATION_SEED, VALIDATION_SEED + params.evaluation.validation_episodes)
    with tempfile.TemporaryDirectory() as folder:
        began = time.monotonic()
        label = f"{name}, seed {seed}"
        learn(learnt_on, agent, seed, validation, params.evaluation.interval, Path(folder), label)
        seconds = round(time.monotonic() - began, 1)
        best = BottleneckDDPG.load(Path(folder) / "best.zip", device="cpu")
    tests = comparison_episodes(params)
    found = {one: summarize(run_agent(best, make_env(params, rig, one), tests)) for one in CONDITIONS}
    return {**found, "train_s": seconds}


def measure_baselines(params: ControlParams, rig: Rig) -> dict[str, Any]:
    """The plain controllers' figures, by name and condition."""
    from control.learning.pretrained import tune  # late, for a quick --help

    found: dict[str, Any] = {}
    _, gains = measured(params)
    for condition in CONDITIONS:
        tested_on = partial(make_env, params, rig, condition)
        policies: dict[str, Callable[[], Policy]] = {
            "proportional": partial(ProportionalPolicy, gains[0], rig.max_displacement_m),
            "proportional_fused": partial(FusedProportionalPolicy, gains[1], rig.max_displacement_m, 1 / rig.rate_hz),
        }
        # What a plain controller could do if it knew the latency: a bound, not a competitor (docs/control.md).
        retuned = tune(params.evaluation, tested_on, rig)["proportional"]
        policies["proportional_retuned"] = partial(ProportionalPolicy, retuned, rig.max_displacement_m)
        tests = comparison_episodes(params)
        for name, episodes in run_episodes(policies, tested_on, tests, label=condition).items():
            found.setdefault(name, {})[condition] = summarize(episodes)
    return found


def comparison_episodes(params: ControlParams) -> range:
    """Seeds of the episodes that all are tested on."""
    return range(COMPARISON_SEED, COMPARISON_SEED + params.evaluation.episodes)


def _summary(variants: Rows) -> dict[str, Any]:
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


def measured(params: ControlParams) -> tuple[ErrorModel, tuple[float, float]]:
    """The estimator's errors and the two tuned gains, as the control stage found them."""
    metrics = Path(params.results) / "metrics.json"
    return error_model(metrics), (tuned_gain(metrics, PROPORTIONAL), tuned_gain(metrics, FUSED))


def given_digest(params: ControlParams, rig: Rig) -> str:
    """Names what all rows depend on, the program apart: parameters, rig, and what the control stage measured."""
    model, gains = measured(params)
    return fingerprint([asdict(params), rig.to_json(), asdict(model), gains])


def main(arguments: list[str] | None = None) -> None:
    """Parse the command line and run the comparison."""
    parser = CommandParser(prog="python -m control.ablation", description=__doc__, result=True)
    parser.add_argument("--config", default="params/control.yaml", help="parameter file (default: %(default)s)")
    add_options(parser, list(VARIANTS))
    options = parser.parse_args(arguments)
    with command_line(parser.prog, options) as tell:
        params, rig = load_params(options.config, ControlParams), Rig.load()
        runs, table = Path(params.runs) / "ablation", Path(params.results) / "ablation.json"
        require_writable_folder(runs, "runs")
        require_writable(table, "results")
        digest = given_digest(params, rig)
        rows = run_rows(options, runs, partial(learn_variant, params, rig), lambda _: digest)
        if rows is None:
            return
        learnt = merged(read_table(table).get("variants", {}), rows, lambda _: digest)
        found = {"variants": learnt, "baselines": measure_baselines(params, rig), "summary": _summary(learnt)}
        write_whole(table, json.dumps(found, indent=2) + "\n")
        titles = [*(f"+{latency} s" for latency in LATENCIES_S), "ideal arm"]
        lines = [f"{'median / 95th percentile, mm':56}" + "".join(f"{title:>14}" for title in titles)]
        for name, row in found["baselines"].items():
            lines.append(f"{name:56}" + "".join(_cell(row[condition]) for condition in CONDITIONS))
        for name, row in found["summary"].items():
            title = f"{name} ({len(found['variants'][name])} seeds)"
            lines.append(f"{title:56}" + "".join(_cell(row[condition]) for condition in CONDITIONS))
        tell(found, "\n".join(lines))


def _cell(figures: dict[str, float]) -> str:
    text = f"{figures['median_mm']:.1f} / {figures['p95_mm']:.1f}"
    return f"{text:>14}"


if __name__ == "__main__":
    main()
