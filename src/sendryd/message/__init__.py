"""The Internet Message Format as bytes: read, edited and signed without being taken apart and put together again."""
