"""Policies as the runtime loads them, free of torch."""

from control.policies.policy import Observation, Policy
from control.policies.shipped import load_policy

__all__ = ["Observation", "Policy", "load_policy"]
