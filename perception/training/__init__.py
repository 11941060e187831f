"""Training of one look: targets, losses, augmentation, curves."""
