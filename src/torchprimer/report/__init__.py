"""Comparison of all experiments: the page reports/index.html, the tables of README and docs, the charts."""
