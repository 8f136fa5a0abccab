"""What concerns the running process: clock, failpoints, threads, garbage collection, logs, metrics, child processes."""
