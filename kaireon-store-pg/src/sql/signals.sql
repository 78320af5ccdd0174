-- Counters and sizes that the server keeps anyway; no row of the store is read. The planner's number of rows stands in for
-- the counter of live ones where that began anew, with a server that was killed. Where the extension that counts statements
-- is there, its schema, quoted.
SELECT
    (SELECT greatest(s.n_live_tup, c.reltuples::bigint, 0) FROM pg_class c
        LEFT JOIN pg_stat_all_tables s ON s.relid = c.oid WHERE c.oid = '{s}.customers'::regclass),
    (SELECT coalesce(sum(s.n_tup_ins), 0)::bigint FROM pg_stat_all_tables s JOIN pg_class c ON c.oid = s.relid
        WHERE c.relnamespace = '{s}'::regnamespace AND (c.relname LIKE 'history\_%' OR c.relname = 'decisions')),
    (SELECT coalesce(sum(pg_total_relation_size(c.oid)), 0)::bigint FROM pg_class c
        WHERE c.relnamespace = '{s}'::regnamespace AND c.relkind IN ('r', 'm', 'S')),
    (SELECT quote_ident(n.nspname) FROM pg_extension e JOIN pg_namespace n ON n.oid = e.extnamespace
        WHERE e.extname = 'pg_stat_statements')
