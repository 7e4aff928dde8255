"""Files, tables, images, shards, manifests, worker processes: what every room stands on."""
