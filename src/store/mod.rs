//! All SQL of the product, one file a subject.

pub mod identity;
