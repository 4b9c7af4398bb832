//! The access token of a request, from the one place where it may stand (RFC 6750, 2.1). Never
//! from the query string, which ends up in logs. Does not judge the token.

use actix_web::http::header::{AUTHORIZATION, HeaderMap};

/// Why a request carries no token.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NoBearer {
    #[error("This endpoint requires a valid Bearer token")]
    Missing,
    /// Which of the two would count must never depend on who reads them.
    #[error("There is more than one Authorization header")]
    Ambiguous,
    #[error("The Authorization header is not of the form Bearer <token>")]
    Malformed,
}

/// The token of the one `Authorization: Bearer <token>` header.
pub fn bearer(headers: &HeaderMap) -> Result<&str, NoBearer> {
    let mut values = headers.get_all(AUTHORIZATION);
    let value = values.next().ok_or(NoBearer::Missing)?;
    if values.next().is_some() {
        return Err(NoBearer::Ambiguous);
    }
    let (scheme, token) = value
        .to_str()
        .ok()
        .and_then(|value| value.trim().split_once(' '))
        .ok_or(NoBearer::Malformed)?;
    let token = token.trim_start();
    let well_formed = scheme.eq_ignore_ascii_case("bearer")
        && !token.is_empty()
        && token
            .bytes()
            .all(|byte| byte.is_ascii_graphic() && byte != b',');
    if well_formed {
        Ok(token)
    } else {
        Err(NoBearer::Malformed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use actix_web::test::TestRequest;

    fn bearer_of(values: &[&[u8]]) -> Result<String, NoBearer> {
        let mut request = TestRequest::get().uri("/?access_token=in-the-query&token=t");
        for value in values {
            let value = actix_web::http::header::HeaderValue::from_bytes(value).unwrap();
            request = request.append_header((AUTHORIZATION, value));
        }
        bearer(request.to_http_request().headers()).map(str::to_owned)
    }

    #[test]
    fn the_scheme_is_read_in_any_case() {
        for value in ["Bearer abc.def-_", "bearer abc.def-_", "BEARER  abc.def-_ "] {
            assert_eq!(bearer_of(&[value.as_bytes()]).as_deref(), Ok("abc.def-_"));
        }
    }

    #[test]
    fn a_token_in_the_query_is_not_seen() {
        assert_eq!(bearer_of(&[]), Err(NoBearer::Missing));
    }

    #[test]
    fn two_headers_are_refused_even_when_equal() {
        assert_eq!(
            bearer_of(&[b"Bearer a", b"Bearer a"]),
            Err(NoBearer::Ambiguous)
        );
    }

    #[test]
    fn anything_else_is_malformed() {
        for value in [
            &b"abc"[..],
            b"Basic YTpi",
            b"Bearer",
            b"Bearer ",
            b"Bearer a b",
            b"Bearer a,b",
            b"Bearer \xff",
        ] {
            assert_eq!(bearer_of(&[value]), Err(NoBearer::Malformed), "{value:?}");
        }
    }
}
