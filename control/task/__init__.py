"""The reach task: environment, dynamics, rewards, goals, episodes."""
