"""Kubernetes service discovery: SD config, role → informers wiring, one pure builder module per role."""
