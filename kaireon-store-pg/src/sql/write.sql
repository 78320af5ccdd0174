-- All that a batch of interactions leaves, in one statement: rows, what is to be told, and the customers' new values.
WITH rows AS (
    INSERT INTO {s}.history (customer, at, tie, value_micros, rank, classification, direction, id, idempotency_key,
        offer, creative, channel, interaction_type, outcome, placement, category, campaign, recommendation, attributes)
    SELECT w.customer, w.at, w.tie, w.value_micros, w.rank, w.classification, w.direction, w.id, w.idempotency_key,
        w.offer, w.creative, w.channel, w.interaction_type, w.outcome, w.placement, w.category, w.campaign,
        w.recommendation, w.attributes::json
    FROM unnest($1::bigint[], $2::timestamptz[], $3::bigint[], $4::bigint[], $5::bigint[], $6::smallint[],
        $7::smallint[], $8::text[], $9::text[], $10::text[], $11::text[], $12::text[], $13::text[], $14::text[],
        $15::text[], $16::text[], $17::text[], $18::text[], $19::text[])
        AS w (customer, at, tie, value_micros, rank, classification, direction, id, idempotency_key, offer, creative,
            channel, interaction_type, outcome, placement, category, campaign, recommendation, attributes)
), told AS (
    INSERT INTO {s}.outbox (generation, enqueued_at, tenant, lane, range, customer, payload)
    SELECT w.* FROM unnest($20::bigint[], $21::timestamptz[], $22::integer[], $23::smallint[], $24::smallint[],
        $25::uuid[], $26::bytea[]) AS w (generation, enqueued_at, tenant, lane, range, customer, payload)
)
UPDATE {s}.customers c SET generation = w.generation, packed = w.packed
FROM unnest($27::bigint[], $28::bigint[], $29::bytea[]) AS w (id, generation, packed)
WHERE c.id = w.id
