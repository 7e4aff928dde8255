"""Tables of labels beside images, as people and annotation tools write them."""
