"""Other projects beside this one, side by side in one run on one machine: ``python -m studies.peers``."""
