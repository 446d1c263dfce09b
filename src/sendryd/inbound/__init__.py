"""Port 25: what other servers send here. Bounces, complaints and automatic replies, and mail for accounts."""
