"""Observers of a run, which take no part in it: recordings, logs, the console, the live view."""
