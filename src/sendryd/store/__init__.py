"""Durable state: the contract that daemons see, and the implementations that keep it."""
