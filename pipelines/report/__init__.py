"""The results as tables and as one page, read from the metrics files that the stages wrote."""
