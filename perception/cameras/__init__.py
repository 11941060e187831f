"""RGB-D cameras behind one interface: RealSense, recording and simulation."""
