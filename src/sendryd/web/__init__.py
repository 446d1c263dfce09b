"""What every page for people shares: response headers, static files, forms, and the framing of HTML that strangers wrote."""
