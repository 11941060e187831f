"""What a long run holds of the machine, watched and reported."""
