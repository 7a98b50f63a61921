"""Editors: models that are told by name and strength how to edit an image."""
