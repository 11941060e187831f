"""The reach task: environment, dynamics, rewards, goals, episodes."""

import gymnasium

ENV_ID = "Sim2RealReach-v0"
IMAGE_ENV_ID = "Sim2RealReachImage-v0"
"""An environment of gymnasium once this package is imported, as ``gymnasium.make("control.task:Sim2RealReach-v0")``
does."""

gymnasium.register(ENV_ID, entry_point="control.task.env:ReachEnv")
gymnasium.register(
    IMAGE_ENV_ID,
    entry_point="control.task.image_env:ImageReachEnv",
    kwargs={"params": None, "frames": "params/frames.yaml", "split": "nominal"},
)
