"""From files to images in memory, in a cache or in a stream."""
