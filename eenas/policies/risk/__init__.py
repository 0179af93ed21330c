"""Risk: policies with a guarantee on their loss against the final exit, and the detection of errors."""
