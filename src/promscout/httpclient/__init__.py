"""HTTP client options (authentication, TLS, proxies) as configuration, and the client that obeys them."""
