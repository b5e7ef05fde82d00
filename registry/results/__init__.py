"""Results: pictures, raw arrays and recipe, on disk, in a notebook and as a figure."""
