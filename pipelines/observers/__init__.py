"""What watches a run without taking part: recordings, logs, the console, the live view."""
