"""Work that is due: carried out, enqueued in time, cleaned up."""
