"""The wire: SMTP as pure state machines. Bytes in, events out; no sockets, no clock."""
