UPDATE {s}.receipts SET history = $4, summaries = $5, decisions = $6, outbox = $7, finished = true
WHERE tenant = $1 AND customer = $2 AND erasure = $3
