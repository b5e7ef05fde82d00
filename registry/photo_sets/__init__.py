"""Photo sets in a run: where they come from, and the index of what a layer answers to them."""
