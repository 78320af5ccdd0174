SELECT generation, erased_at, history, summaries, decisions, outbox, finished
FROM {s}.receipts WHERE tenant = $1 AND customer = $2 AND erasure = $3
