"""`/v1/test-emails`: the Test Inbox."""
