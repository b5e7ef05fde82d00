"""Techniques that optimise an image."""
