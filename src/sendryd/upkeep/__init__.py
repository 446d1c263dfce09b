"""What has to be done now and then: leases that ran out, mail that is too old, rows that are no longer kept, domains to look at again."""
