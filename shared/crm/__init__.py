"""CRMs: one file each behind the `Crm` port."""
