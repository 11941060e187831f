"""The emulated xArm controller, byte by byte."""
