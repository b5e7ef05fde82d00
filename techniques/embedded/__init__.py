"""What is brought along: the embedded models, sample photos and photo set."""
