"""Early exits of nodes: classification of the nodes of one graph, hop by hop."""
