"""Pure NumPy and SciPy functions on arrays: the arithmetic of the markers."""
