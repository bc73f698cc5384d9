"""Data sets: read, checked, converted to `.npy` in the user's cache folder."""
