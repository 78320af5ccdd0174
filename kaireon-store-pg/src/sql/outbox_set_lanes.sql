UPDATE {s}.meta SET lanes = $1
