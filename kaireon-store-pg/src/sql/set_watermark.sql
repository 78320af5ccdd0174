-- With the fence's advisory lock held alone: no batch that read the one before is still to commit.
UPDATE {s}.tenants SET watermark = greatest(watermark, $2) WHERE id = $1 AND name = $3 RETURNING watermark
