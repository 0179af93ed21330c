"""Parts of traced networks: recorded passes, and the sizes in exported graphs."""
