"""Metrics put to the test, by sets of which is known how good and how diverse they are."""
