"""promscout finds what to scrape in Kubernetes, scrapes it, and delivers the samples."""

__all__ = ["__version__"]

__version__ = "0.1.0"
