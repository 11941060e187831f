"""Labelled and recorded frames on disk, written and read."""
