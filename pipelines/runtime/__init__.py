"""The control loop: ticks, checks, stops."""
