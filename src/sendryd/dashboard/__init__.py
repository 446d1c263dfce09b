"""Pages for the people who run an account: what happens to their mail, why, and what to do."""
