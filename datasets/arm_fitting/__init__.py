"""Fits the shapes of the project's own arm to the official one."""
