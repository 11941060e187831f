"""The arm's whole model laid onto captured frames: the camera's pose from no start at all."""
