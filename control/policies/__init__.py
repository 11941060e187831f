"""Policies as the runtime loads them, without torch."""

from control.policies.policy import Observation, Policy
from control.policies.shipped import load_policy

__all__ = ["Observation", "Policy", "load_policy"]
