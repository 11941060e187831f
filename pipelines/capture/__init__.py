"""Captures for calibration: the arm takes postures one after the other, and is photographed at rest."""
