-- Waits for whoever writes for the customer.
SELECT id, generation, customer, packed FROM {s}.customers WHERE tenant = $1 AND digest = $2 FOR UPDATE
