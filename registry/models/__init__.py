"""Where models come from: names, sources, the hub, and their cache on disk and in memory."""
