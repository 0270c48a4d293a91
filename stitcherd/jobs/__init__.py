"""The life of a job: intake, dispatch, scheduling, its attempts and gates, and what happens to it afterwards."""
