"""What every room needs: errors that are answers, names, settings, logs, memory, rounding, and torch's state."""
