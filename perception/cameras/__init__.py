"""RGB-D cameras behind one interface: RealSense and recording."""
