SELECT FROM {s}.erasing LIMIT 1
