"""Randomized scenes: what is drawn in them, how, and the depth camera that looks at them."""
