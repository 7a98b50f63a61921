"""Networks and their losses, one file a family, each readable beside its paper."""
