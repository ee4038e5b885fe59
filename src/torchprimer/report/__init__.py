"""What the pipeline measured, for people: the page reports/index.html, the tables of README and docs, the charts."""
