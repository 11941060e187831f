"""From an estimated position and a goal to a displacement; arms and safety (imports perception and datasets)."""

import datasets  # noqa: F401  (first of all imports: it keeps the libraries from sending usage data to their makers)
