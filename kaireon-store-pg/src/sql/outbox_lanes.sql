SELECT lanes FROM {s}.meta
