"""The dress rehearsal: the whole runtime over seeded goals on the twin, scored and drawn."""
