"""What the queues carry."""
