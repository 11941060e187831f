"""The physical set-up, pinhole projection, and the frame that a camera gives."""
