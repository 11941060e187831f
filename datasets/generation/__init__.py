"""From a parameter file to labelled frames: the splits and their workers."""
