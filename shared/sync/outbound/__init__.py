"""From the CRM to the mailbox: accepting a send, building its draft, sending it, finding out what became of it."""
