"""Programs: the network as programs, their manifest, and the runtime that runs them."""
