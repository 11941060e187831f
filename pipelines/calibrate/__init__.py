"""Calibration of camera, table and delays: by captures, by the networks, by small moves, by frames at rest."""
