"""Hidden twins: camera, sensor, table and arm are drawn from a seed; only the judge of a calibration sees the truth."""
