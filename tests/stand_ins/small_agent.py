"""An agent whose training takes a moment, as parameter files give it."""

SMALL_AGENT = {
    "steps": 200, "warm_up": 60, "actor_starts": 20, "batch_size": 16, "hidden": 16, "residual_gain": 1.0
}  # fmt: skip
