"""An Intel RealSense D400 camera over librealsense's pipeline, live or recorded."""
