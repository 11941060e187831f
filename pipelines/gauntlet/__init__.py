"""The gauntlet: every method in every kind of gap between simulation and world."""
