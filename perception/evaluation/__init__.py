"""Errors of the estimator on every split, and the folder that is shipped."""
