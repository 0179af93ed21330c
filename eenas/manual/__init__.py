"""What the terminal and the site say about files and their keys, read from the code."""
