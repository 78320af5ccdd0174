DELETE FROM {s}.decisions WHERE customer = $1
