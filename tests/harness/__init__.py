"""What every test runs under: virtual time, leak checks, a guard against traffic beyond loopback."""
