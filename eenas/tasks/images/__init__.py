"""Images: files, pictures made ready for a network, and the tensors made of them."""
