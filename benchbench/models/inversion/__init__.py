"""Codes of given images, found from outside the models: by an encoder, by an equation backwards, or by descent.

What is here is told of a model and is no part of it, so no model's identity (`models.identity`) depends on it.
"""
