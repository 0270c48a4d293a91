"""Reports what becomes of deliveries and jobs at the forge that they came from, through the outbox of the store."""
