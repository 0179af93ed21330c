"""The terminal: the console, progress bars, and failures as one line."""
