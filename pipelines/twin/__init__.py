"""A stand-in for the hardware at the level of the wire: the real SDK and the real librealsense connect to it."""
