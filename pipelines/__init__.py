"""Whole jobs composed of the rooms below: the real run, the rehearsal on the twin, the report (imports all)."""

import datasets  # noqa: F401  (before any library: it keeps them from sending anything home)
