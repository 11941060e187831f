"""Measures what learning adds where it should: ``python -m pipelines.gauntlet.learnt``.

In each gap of arm or goal, agents learn on the estimator's measured errors with the same gap in every episode. They are
tested on other episodes and compared with the shipped policy and with the proportional controllers, which use the gains
of the control stage and gains tuned in the gap. No picture is drawn. ``dvc repro studies/dvc.yaml:learnt_in_gaps`` does
the same. With ``--only``, or with other seeds than 0, 1 and 2, the table goes to a separate folder in ``runs``.
"""

import json
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, astuple, replace
from functools import partial
from pathlib import Path
from typing import Any

if __name__ == "__main__":  # before torch and similar packages are imported
    from datasets.common.training_packages import require_training

    require_training("pipelines.gauntlet.learnt")

import numpy as np

from control.ablation import given_digest, measured
from control.learning.params import FUSED, PROPORTIONAL, AgentParams, ControlParams
from control.learning.study import GIVEN, SEEDS, Rows, add_options, run_rows
from control.policies.policy import Policy
from control.policies.shipped import FusedProportionalPolicy, ProportionalPolicy, load_policy
from control.task.episode_seeds import VALIDATION_SEED
from control.task.episodes import Episode, run_episodes, summarize
from control.task.sources import Surrogate
from datasets.common.cli import CommandParser, command_line, require_writable, require_writable_folder
from datasets.common.code_digest import fingerprint
from datasets.common.config import load_params
from datasets.common.errors import ConfigError, DataError
from datasets.common.files import read_json, write_whole
from datasets.rig.rig import Rig
from pipelines.gauntlet.gap_env import GapEnv
from pipelines.gauntlet.plan import GauntletParams
from pipelines.gauntlet.scores import MEASURES, compare

GAPS = ("backlash_3mm", "curved_arm", "slow_arm", "goal_5cm_per_s", "start_at_speed")
SHIPPED = "shipped"
BOUNDED, FREE = "bounded", "free"
FREE_SCALE = 2.0
"""Bound of a correction that may reverse the controller's command, which is needed to lead a moving goal."""
AGENTS: dict[str, Callable[[AgentParams], AgentParams]] = {
    BOUNDED: lambda agent: agent,
    FREE: lambda agent: replace(agent, residual_scale=FREE_SCALE, steps=2 * agent.steps),
}
"""How the stage's agent is changed: not at all, or with twice the steps and a correction that is hardly bounded."""
FURTHER_GAINS = (1.2, 1.5)
"""Gains tried in the gaps besides the stage's: a moving goal needs larger ones."""
TEST_SEED = 2_140_000_000
"""Seed of the first test episode, the same for all agents; no other figure uses these episodes, see
:mod:`control.task.episode_seeds`."""
TUNED = "_tuned_here"
"""Suffix of the name of a controller with a gain that was tuned in the gap."""
NAMES = tuple(f"{gap}-{agent}" for gap in GAPS for agent in AGENTS)
"""Names of the rows, each of a gap and an agent."""

Kept = list[tuple[int, float, float, float]]
"""Episodes in the form in which a file holds them."""


class Bench:
    """Makes the gaps' environments and measures in them; the results are kept in ``folder``."""

    def __init__(self, gauntlet: GauntletParams, rig: Rig) -> None:
        self._gaps, self._rig = gauntlet.gaps, rig
        self.params = load_params(gauntlet.control, ControlParams)
        if missing := [gap for gap in GAPS if gap not in gauntlet.gaps]:
            raise ConfigError(
                f"gaps lacks {', '.join(missing)}, which this study needs; copy from params/gauntlet.yaml"
            )
        for gap in GAPS:
            gauntlet.gaps[gap].check(self.params.env)  # a wrong value is reported before anything is learnt
        self.folder = Path(self.params.runs) / "gaps"
        self._errors, self._gains = measured(self.params)
        self._tests = range(TEST_SEED, TEST_SEED + self.params.evaluation.episodes)
        self._measured: set[str] = set()

    def make_env(self, gap: str) -> GapEnv:
        """The task in a gap, with positions as wrong as the estimator's."""
        return GapEnv(self.params.env, self._gaps[gap], Surrogate(self._errors), self._rig)

    def learnt(self, name: str, seed: int) -> dict[str, Any]:
        """Train an agent in a gap; returns its episodes and ``train_s``. Its rivals in that gap are measured first."""
        from control.learning.ddpg import BottleneckDDPG  # late, for a quick --help
        from control.learning.trainer import learn, run_agent

        gap, agent = name.split("-")
        if gap not in self._measured:
            others = {GIVEN: self.given(name), "methods": self._others(gap)}
            write_whole(self._others_file(gap), json.dumps(others) + "\n")
            self._measured.add(gap)
        make_env = partial(self.make_env, gap)
        evaluation = self.params.evaluation
        validation = range(VALIDATION_SEED, VALIDATION_SEED + evaluation.validation_episodes)
        with tempfile.TemporaryDirectory() as folder:
            began, settings = time.monotonic(), AGENTS[agent](self.params.agent)
            learn(make_env, settings, seed, validation, evaluation.interval, Path(folder), f"{name}, seed {seed}")
            seconds = round(time.monotonic() - began, 1)
            best = BottleneckDDPG.load(Path(folder) / "best.zip", device="cpu")
        return {"episodes": _kept(run_agent(best, make_env(), self._tests)), "train_s": seconds}

    def others(self, gap: str) -> dict[str, dict[str, Any]]:
        """The shipped policy and the proportional controllers in a gap: ``episodes`` of each, and its ``gain`` if any.

        Raises:
            DataError: they have not been measured with what is given now, because nothing has been learnt so in this
                gap.
        """
        file, again = self._others_file(gap), f"learn in the gap first, with --only {gap}-{BOUNDED}"
        if not file.is_file():
            raise DataError(f"{file}: no such file; {again}")
        found = read_json(file)
        if found.get(GIVEN) != self.given(gap):
            raise DataError(f"{file}: measured with other parameters, rig, errors or policy than today's; {again}")
        methods: dict[str, dict[str, Any]] = found["methods"]
        return methods

    def given(self, name: str) -> str:
        """Names what the rows of a gap depend on, the program apart: the study's values, gap and shipped policy."""
        gap = asdict(self._gaps[name.split("-")[0]]) | {"title": "", "group": ""}
        policy = [file for file in sorted(Path(self.params.policy).glob("*")) if file.is_file()]
        return fingerprint([given_digest(self.params, self._rig), gap], *policy)

    def _others_file(self, gap: str) -> Path:
        return self.folder / f"{gap}.json"

    def _others(self, gap: str) -> dict[str, dict[str, Any]]:
        from control.learning.pretrained import tune  # late, for a quick --help

        make_env = partial(self.make_env, gap)
        tuning = replace(self.params.evaluation, gains=(*self.params.evaluation.gains, *FURTHER_GAINS))
        tuned = tune(tuning, make_env, self._rig)
        longest, period_s = self._rig.max_displacement_m, 1 / self._rig.rate_hz
        plain = {PROPORTIONAL: self._gains[0], f"{PROPORTIONAL}{TUNED}": tuned[PROPORTIONAL]}
        fused = {FUSED: self._gains[1], f"{FUSED}{TUNED}": tuned[FUSED]}
        policies: dict[str, Callable[[], Policy]] = {
            SHIPPED: partial(load_policy, self.params.policy, self._rig),
            **{name: partial(ProportionalPolicy, gain, longest) for name, gain in plain.items()},
            **{name: partial(FusedProportionalPolicy, gain, longest, period_s) for name, gain in fused.items()},
        }
        gains = plain | fused
        found = run_episodes(policies, make_env, self._tests, label=gap)
        return {name: {"episodes": _kept(ran), "gain": gains.get(name)} for name, ran in found.items()}


def make_table(bench: Bench, rows: Rows) -> dict[str, Any]:
    """For each gap, every method's figures, and the comparison of each agent with each rival for every learning seed.

    The comparisons are those of :mod:`pipelines.gauntlet.scores`, corrected over the gaps.

    Raises:
        DataError: the rivals of an agent have not been measured.
    """
    gaps = list(dict.fromkeys(name.split("-")[0] for name in rows))
    found: dict[str, Any] = {gap: {} for gap in gaps}
    rivals: dict[str, dict[str, list[Episode]]] = {}
    ours: dict[str, dict[str, list[Episode]]] = {}
    for gap in gaps:
        for name, row in bench.others(gap).items():
            ran = _episodes(row["episodes"])
            found[gap][name] = summarize(ran) | ({} if name == SHIPPED else {"gain": row["gain"]})
            (ours if name == SHIPPED else rivals).setdefault(name, {})[gap] = ran
    for name, seeds in rows.items():
        gap, agent = name.split("-")
        found[gap][agent] = {}
        for seed, row in seeds.items():
            ran = _episodes(row["episodes"])
            found[gap][agent][seed] = summarize(ran) | {"train_s": row["train_s"]}
            ours.setdefault(f"{agent} {seed}", {})[gap] = ran
    for name, ran_in in ours.items():
        for rival, theirs in rivals.items():
            for measure in MEASURES:
                for gap, comparison in compare(ran_in, theirs, measure).items():
                    against = found[gap].setdefault("comparison", {}).setdefault(f"{name} against {rival}", {})
                    against[measure] = comparison
    return found


def _kept(episodes: Sequence[Episode]) -> Kept:
    return [astuple(one) for one in episodes]


def _episodes(kept: Kept) -> list[Episode]:
    return [Episode(*one) for one in kept]


def _lines(found: Mapping[str, Any]) -> list[str]:
    """Text lines with every method's figures; those of the agents are means over their seeds."""
    keys = ("median_mm", "p95_mm", "success_5mm", "success_10mm", "arrival_s", "mean_reward")
    lines = [f"{'':46}" + "".join(f"{key:>14}" for key in keys)]
    for gap, methods in found.items():
        for name, row in methods.items():
            if name == "comparison":
                continue
            seeds = list(row.values()) if name in AGENTS else [row]
            cells = "".join(f"{float(np.mean([one[key] for one in seeds])):14.2f}" for key in keys)
            lines.append(f"{gap:16}{name:30}" + cells)
    return lines


def main(arguments: Sequence[str] | None = None) -> None:
    """Parse the command line, learn, and write the table."""
    parser = CommandParser(prog="python -m pipelines.gauntlet.learnt", description=__doc__, result=True)
    parser.add_argument("--config", default="params/gauntlet.yaml", help="parameter file (default: %(default)s)")
    add_options(parser, NAMES)
    options = parser.parse_args(arguments)
    with command_line(parser.prog, options) as tell:
        bench = Bench(load_params(options.config, GauntletParams), Rig.load())
        # A part of the rows must not be taken for the whole table.
        whole = {*options.only} == {*NAMES} and {*options.seeds} == {*SEEDS}
        table = (Path(bench.params.results) if whole else bench.folder / "selection") / "gaps.json"
        require_writable_folder(bench.folder, "runs")
        require_writable(table, "the table")
        rows = run_rows(options, bench.folder, bench.learnt, bench.given)
        if rows is None:
            return
        found = make_table(bench, rows)
        write_whole(table, json.dumps(found, indent=2) + "\n")
        tell(found, "\n".join(_lines(found)))


if __name__ == "__main__":
    main()
