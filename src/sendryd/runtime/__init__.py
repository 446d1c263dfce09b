"""The outside world: clocks, random numbers, sockets, TLS, DNS, HTTP, logs. Each has a small Protocol as its interface."""
