"""A network as techniques receive it: preprocessing, layers, grids, labels, receptive fields, gradients."""
