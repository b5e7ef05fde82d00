"""Runs: inputs checked and resolved, a thread of their own, and recipes run again."""
