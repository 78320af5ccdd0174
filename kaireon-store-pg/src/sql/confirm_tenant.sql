-- Whether a number is its tenant's; it stays so until the transaction ends.
SELECT FROM {s}.tenants WHERE id = $1 AND name = $2 FOR KEY SHARE
