"""The project's exceptions: one root, few branches.

A message says what was wrong, what was expected, and what to do about it, in one line.
"""


class Sim2RealError(Exception):
    """Root of every error this project raises on purpose."""


class ConfigError(Sim2RealError):
    """A parameter file or command-line value is wrong: the message names the key."""


class DataError(Sim2RealError):
    """A frame or a frame store is missing, incomplete or does not fit what reads it."""


class ModelError(Sim2RealError):
    """A trained model is missing, or was trained for another rig or other channels."""


class DeviceError(Sim2RealError):
    """A camera or an arm cannot be reached, or answers with a fault."""


class SafetyStop(Sim2RealError):
    """The arm was stopped, or refused to start, because a safety condition does not hold."""
