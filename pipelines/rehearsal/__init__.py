"""Figures and pictures of a rehearsal."""
