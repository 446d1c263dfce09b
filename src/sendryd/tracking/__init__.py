"""What recipients reach by links in their mail: the pixel, tracked links, the unsubscribe page, shared messages."""
