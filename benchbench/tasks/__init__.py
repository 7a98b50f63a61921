"""The protocols: which images a model makes and what they are held against."""
