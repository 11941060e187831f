"""Clearance of the whole arm from table, base plate, named boxes and itself, proven along motions; no devices."""
