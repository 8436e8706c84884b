"""A reverse proxy like AWS Lambda Web Adapter. It serves a web app on Lambda, in a container, or in a local Lambda."""

__version__ = "0.1.0"
