-- Customers who were entered for records that then left nothing.
DELETE FROM {s}.customers WHERE id = ANY ($1::bigint[])
