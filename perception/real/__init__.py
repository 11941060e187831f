"""How good an estimator is on real frames of an arm whose joints are known, and how much our arm looks like it."""
