"""Shipped weights: of which record they are, whether they give its numbers again, how a record becomes a baseline."""
