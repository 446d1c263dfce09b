"""The outside world: clocks, chance, sockets, TLS, names, logs. Each behind a small Protocol."""
