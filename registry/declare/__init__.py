"""The declaration of a technique: a typed function, its input and output ports."""
