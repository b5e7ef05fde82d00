"""Techniques that read what the network computes."""
