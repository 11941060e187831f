"""From an estimated position and a goal to a displacement; arms and safety (imports perception and datasets)."""
