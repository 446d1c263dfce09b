"""What REST, the command line and pages for people do with an account: its domains, keys, templates, webhooks and lists. No door has rules of its own."""
