"""The executors: what does the work of a job."""
