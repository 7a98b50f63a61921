"""Carries cells out: plan, train or load, task, score, record."""
