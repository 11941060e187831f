"""Hidden twins: camera, sensor, table and arm come from a seed, and the truth is kept apart for the judge."""
