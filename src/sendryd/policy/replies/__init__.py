"""The receivers' replies: what each one means for a delivery. Pure."""
