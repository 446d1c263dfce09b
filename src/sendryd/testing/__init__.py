"""Shipped fakes and harnesses: a receiving mail server, a name server, the real program as a process, and a whole world of them."""
