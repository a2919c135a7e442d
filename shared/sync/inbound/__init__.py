"""From the mailbox to the CRM: notifications, the sweep, the import of one mail."""
