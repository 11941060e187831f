"""The simulated world and the labelled RGB-D frames drawn from it (ground floor: imports no other room)."""
