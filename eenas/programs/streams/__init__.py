"""Series whose points come one after the other, answered by an exported model as soon as it is sure enough."""
