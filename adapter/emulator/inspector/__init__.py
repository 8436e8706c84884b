"""The inspector: a page that shows every invocation while it happens, and the API behind the page."""
