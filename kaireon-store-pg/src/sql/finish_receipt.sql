-- Nothing where there is something to delete still: the line came back with an older state of the database.
UPDATE {s}.receipts r SET finished = true
WHERE tenant = $1 AND customer = $2 AND erasure = $3 AND NOT EXISTS (
    SELECT FROM {s}.erasing e WHERE e.tenant = r.tenant AND e.digest = r.customer AND e.erasure = r.erasure
)
