"""A second photographer of the same scenes: path-traced by Mitsuba, with a sensor of another make."""
