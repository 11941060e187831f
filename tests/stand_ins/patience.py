"""Limits to which a busy machine is no fault, for tests of something else."""

from dataclasses import replace

from pipelines.setup.settings import RuntimeParams


def patient(settings: RuntimeParams, **limits: float) -> RuntimeParams:
    """The same, to which a machine that was busy with something else for a second is no fault."""
    limits = {"max_frame_age_s": 2.0, "overruns_in_row": 1000} | limits
    return replace(settings, watchdog_s=1.0, limits=replace(settings.limits, **limits))
