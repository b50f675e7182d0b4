//! Every process by number, and how they are related.
