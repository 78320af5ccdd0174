UPDATE {s}.meta SET lanes = (lanes | $1) & ~$2 RETURNING lanes
