"""The software RealSense that films the twin."""
