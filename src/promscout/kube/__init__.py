"""The Kubernetes API from a watcher's side: access, projected objects, list and watch, stores, shared informers."""
