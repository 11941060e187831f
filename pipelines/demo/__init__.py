"""The demonstration: three goals on the twin, told step by step, and pictures of them."""
