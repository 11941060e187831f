"""Where the camera stands and how high the table lies, measured by the arm itself."""
