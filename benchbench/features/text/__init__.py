"""What captions are as vectors: a tokenizer, a sentence encoder, and how its embeddings are kept."""
