"""Plugins: the hooks they implement, and how they are found."""
