"""The demonstration: three goals on the twin, printed step by step, and pictures of them."""
