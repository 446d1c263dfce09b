"""Shared by all pages for people: response headers, static files, forms, framing of foreign HTML."""
