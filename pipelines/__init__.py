"""Whole jobs composed of the rooms below: the real run, the rehearsal on the twin, the report (imports all)."""
