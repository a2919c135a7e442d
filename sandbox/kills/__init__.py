"""`make kills`: workers are killed at random moments while mail goes both ways, on real processes."""
