"""The Internet Message Format as bytes: messages are read, edited and signed without parsing and serialising the whole."""
