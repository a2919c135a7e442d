"""What the CRM is told, and what it reads: recording, delivery, the feed, messages."""
