DELETE FROM {s}.history WHERE customer = $1
