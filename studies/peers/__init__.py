"""Compares other projects with this one, in one run on one machine: ``python -m studies.peers``."""
