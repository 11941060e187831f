"""The shipped estimator: from one RGB-D frame to the position of the TCP with its uncertainty."""
