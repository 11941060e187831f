"""First seed of each kind of episodes; they are far enough apart that no seed belongs to two kinds."""

TRAINING_SEED = 1_000_000
"""Learning with seed k uses the episodes from ``TRAINING_SEED * (k + 1)`` on."""
VALIDATION_SEED = 2_000_000_000
"""First seed of the episodes that choose the best checkpoint."""
LARGEST_SEED = VALIDATION_SEED // TRAINING_SEED - 2
"""Largest seed of learning whose episodes all come before ``VALIDATION_SEED``."""
TUNING_SEED = 2_020_000_000
"""First seed of the episodes that tune the proportional controllers' gains."""
SCENES_SEED = 2_040_000_000
"""First seed of the scenes in which the estimator's errors are measured."""
TEST_SEED = 2_060_000_000
"""First seed of the test episodes, from which the reported figures come."""
