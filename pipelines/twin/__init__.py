"""A stand-in for the hardware at the wire: servers that the real SDK and the real librealsense connect to."""
