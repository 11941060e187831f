"""Loads, checks and assembles the parts of a run: settings, devices, models."""
