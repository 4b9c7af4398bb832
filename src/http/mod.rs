//! The HTTP face: routes and extractors, one file a resource. Only here is `HttpResponse` named.

pub mod bearer;
pub mod identity;
