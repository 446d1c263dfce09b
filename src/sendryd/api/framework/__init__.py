"""What all operations share: their declaration, what happens around each call, the description made of them."""
