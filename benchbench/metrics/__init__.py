"""Numbers from evidence: pure functions first, thin classes over them."""
