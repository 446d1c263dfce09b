"""SMTP as pure state machines: bytes in, events out; no sockets, no clock."""
