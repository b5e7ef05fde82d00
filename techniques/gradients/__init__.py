"""Techniques that differentiate a score to the pixels."""
