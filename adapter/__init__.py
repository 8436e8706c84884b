"""A Web-Adapter-style reverse proxy: any local web app behind AWS Lambda, a container or a laptop's own Lambda."""

__version__ = "0.1.0"
