"""Port 25: what other servers send here. Bounces, complaints and automatic replies, for addresses of our own."""
