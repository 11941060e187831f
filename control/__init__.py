"""From an estimated position and a goal to a displacement; arms and safety (imports perception and datasets)."""

import datasets  # noqa: F401  (before any library: it keeps them from sending anything home)
