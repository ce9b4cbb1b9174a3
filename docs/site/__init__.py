"""The documentation's site: ``python -m docs.site`` makes its pages, builds and checks it."""
