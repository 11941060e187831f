"""The whole runtime for an hour on the twin, while what it holds is watched: ``make soak``."""
