"""Who may connect, and how: connections, TLS, passwords, names and origins."""
