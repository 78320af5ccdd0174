DELETE FROM {s}.customers WHERE id = $1
