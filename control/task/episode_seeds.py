"""First seeds of the kinds of episodes, far enough apart that none is ever of two kinds."""

TRAINING_SEED = 1_000_000
"""Learning with seed k uses the episodes from ``TRAINING_SEED * (k + 1)`` on."""
VALIDATION_SEED = 2_000_000_000
"""Choosing the best checkpoint."""
TUNING_SEED = 2_020_000_000
"""Tuning the proportional controllers' gains."""
SCENES_SEED = 2_040_000_000
"""Measuring the estimator's errors."""
TEST_SEED = 2_060_000_000
"""The reported figures."""
