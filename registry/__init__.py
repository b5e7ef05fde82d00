"""The registry: what a technique is, and how it is found, checked and run. Its API is `timmscope`."""
