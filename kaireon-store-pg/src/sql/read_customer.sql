SELECT packed FROM {s}.customers WHERE tenant = $1 AND digest = $2
