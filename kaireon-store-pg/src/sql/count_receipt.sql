UPDATE {s}.receipts SET history = $4, summaries = $5, decisions = $6, outbox = $7
WHERE tenant = $1 AND customer = $2 AND erasure = $3
