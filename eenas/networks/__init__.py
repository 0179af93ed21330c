"""Networks: a design built, with weights."""
