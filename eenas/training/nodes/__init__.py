"""Training of networks that classify the nodes of one graph."""
