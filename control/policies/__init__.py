"""Policies as the runtime loads them, free of torch."""
