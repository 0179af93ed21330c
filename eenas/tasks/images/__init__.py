"""Images: files, their preparation for a network, and the tensors made from them."""
