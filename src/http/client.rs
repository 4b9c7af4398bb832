//! The web client, built into the binary: files by name, and its page for every other path, for it
//! routes by itself.

use actix_web::http::{Method, header};
use actix_web::{HttpRequest, HttpResponse};
use rust_embed::Embed;

use super::problem::{not_that_method, unmatched};
use crate::error::AppError;

/// `client/dist`: in a debug build read from disk, in a release build inside the binary.
#[derive(Embed)]
#[folder = "client/dist"]
#[allow_missing = true]
struct Files;

/// What no other route matched.
pub async fn serve(request: HttpRequest) -> Result<HttpResponse, AppError> {
    let path = request.path().trim_start_matches('/');
    if path.starts_with("api/") || path.starts_with("auth/") {
        return unmatched(request).await;
    }
    if !["GET", "HEAD"].contains(&request.method().as_str()) {
        return Ok(not_that_method(&request, vec![Method::GET]));
    }
    if path.starts_with("problems/") {
        return Err(AppError::not_found());
    }
    let (name, file) = match Files::get(path) {
        Some(file) => (path, Some(file)),
        // An asset that is missing is missing; anything else is a place in the client.
        None if path.starts_with("assets/") => return Err(AppError::not_found()),
        None => ("index.html", Files::get("index.html")),
    };
    let Some(file) = file else {
        return Ok(HttpResponse::NotFound()
            .content_type("text/plain; charset=utf-8")
            .body("The web client is not built: run `npm ci && npm run build` in client/\n"));
    };
    let caching = if name.starts_with("assets/") {
        "public, max-age=31536000, immutable" // their names carry a hash
    } else {
        "no-cache"
    };
    let mut response = HttpResponse::Ok();
    response
        .content_type(mime_guess::from_path(name).first_or_octet_stream().as_ref())
        .insert_header((header::CACHE_CONTROL, caching));
    Ok(response.body(file.data.into_owned()))
}
