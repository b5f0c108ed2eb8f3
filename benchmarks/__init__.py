"""Speed, memory and agreement beside the peers: ``python -m benchmarks`` (or ``make bench``)."""
