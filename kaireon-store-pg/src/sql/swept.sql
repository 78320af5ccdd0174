DELETE FROM {s}.erasing WHERE customer = $1
