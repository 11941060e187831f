"""A slip of the unit must not switch a guard off without a word."""

from dataclasses import replace

import pytest

from datasets.common.errors import ConfigError
from pipelines.setup.settings import RUNTIME_PATH, RuntimeParams
from pipelines.setup.setup import Setup

GOOD = RuntimeParams.load()
METRES = [name for name in vars(GOOD.limits) if name.endswith("_m")]


@pytest.mark.parametrize("name", [*METRES, "max_frame_age_s"])
def test_thousandths_of_the_unit_are_refused(name):
    slipped = {name: 1e3 * getattr(GOOD.limits, name)}
    if name == "max_drift_m":
        slipped["max_disagreement_m"] = slipped[name]  # else refused for being the larger of the two
    with pytest.raises(ConfigError, match=r"must lie in .*, got"):
        replace(GOOD.limits, **slipped)


def test_every_limit_has_a_largest_value():
    for name in vars(GOOD.limits):
        with pytest.raises(ConfigError, match=f"{name} must lie in"):
            replace(GOOD.limits, **{name: 1_000_000})


def test_a_file_of_an_earlier_version_holds_through_no_uncertain_estimate(tmp_path):
    old = "".join(line for line in RUNTIME_PATH.read_text().splitlines(True) if "uncertain_held" not in line)
    (tmp_path / "runtime.yaml").write_text(old)
    assert RuntimeParams.load(tmp_path / "runtime.yaml").limits == replace(GOOD.limits, uncertain_held=0)


def test_drift_must_have_the_time_to_be_averaged():
    with pytest.raises(ConfigError, match="drift_ticks"):
        replace(GOOD, horizon_steps=GOOD.limits.drift_ticks - 1)
    assert GOOD.with_horizon(3).limits.drift_ticks == 3
    assert GOOD.with_horizon(GOOD.horizon_steps) == GOOD


def test_a_watchdog_that_bites_between_two_steps_is_refused(rig):
    for watchdog_s in (0.09, 0.14):
        with pytest.raises(ConfigError, match=r"watchdog_s is .* at least 0\.15 s"):
            Setup.load(rig, replace(GOOD, watchdog_s=watchdog_s))
    replace(GOOD, watchdog_s=0.15).require_rate(rig.rate_hz)
