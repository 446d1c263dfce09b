"""Pages and links for recipients: the pixel, tracked links, the unsubscribe page, shared messages."""
