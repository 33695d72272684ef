//! Logging in: tokens that name their user and are signed, so that none need be remembered.

use axum::http::{HeaderMap, StatusCode, header};
use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use hmac::{Hmac, KeyInit as _, Mac as _};
use rand::TryRng as _;
use rand::rngs::SysRng;
use sha2::Sha256;

use super::error::ApiError;

/// Issues and verifies tokens; they hold as long as the process.
pub(super) struct Sessions {
    key: Hmac<Sha256>,
}

impl Sessions {
    pub(super) fn new() -> Self {
        let mut secret = [0; 32];
        SysRng.try_fill_bytes(&mut secret).expect("the system has random bytes");
        Self { key: Hmac::new_from_slice(&secret).expect("HMAC takes a key of any length") }
    }

    /// Issues a token for a user: the name and its signature, both in base64url.
    pub(super) fn token(&self, user: &str) -> String {
        let mut mac = self.key.clone();
        mac.update(user.as_bytes());
        let mut token = BASE64_URL_SAFE_NO_PAD.encode(user);
        token.push('.');
        BASE64_URL_SAFE_NO_PAD.encode_string(mac.finalize().into_bytes(), &mut token);
        token
    }

    /// Returns the user that a request's `Authorization: Bearer` token names; 401 without one.
    pub(super) fn user(&self, headers: &HeaderMap) -> Result<String, ApiError> {
        bearer(headers).and_then(|token| self.verify(token)).ok_or_else(|| {
            ApiError::new(
                StatusCode::UNAUTHORIZED,
                "unauthorized",
                "a valid token is needed: log in at /api/login and send it as \"Authorization: Bearer TOKEN\"",
            )
        })
    }

    fn verify(&self, token: &str) -> Option<String> {
        let (user, signature) = token.split_once('.')?;
        let user = BASE64_URL_SAFE_NO_PAD.decode(user).ok()?;
        let signature = BASE64_URL_SAFE_NO_PAD.decode(signature).ok()?;
        let mut mac = self.key.clone();
        mac.update(&user);
        mac.verify_slice(&signature).ok()?;
        String::from_utf8(user).ok()
    }
}

/// Returns the token of a `Bearer` authorization; the scheme's case does not matter (RFC 9110,
/// section 11.1).
fn bearer(headers: &HeaderMap) -> Option<&str> {
    let value = headers.get(header::AUTHORIZATION)?.to_str().ok()?;
    let (scheme, token) = value.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;

    use super::*;

    fn headers(authorization: &str) -> HeaderMap {
        let value = HeaderValue::from_str(authorization).expect("a header");
        HeaderMap::from_iter([(header::AUTHORIZATION, value)])
    }

    #[test]
    fn a_token_names_its_user() {
        let sessions = Sessions::new();
        let token = sessions.token("ada λ");
        assert_eq!(sessions.user(&headers(&format!("bearer  {token}"))), Ok("ada λ".to_owned()));
    }

    #[test]
    fn a_token_of_another_process_or_user_is_refused() {
        let sessions = Sessions::new();
        let other = Sessions::new().token("ada");
        let (_, signature) = other.split_once('.').expect("two parts");
        let own = sessions.token("ada");
        let (_, own_signature) = own.split_once('.').expect("two parts");
        for value in [
            format!("Bearer {other}"),
            format!("Bearer YWRh.{signature}"),
            format!("Bearer Ym9i.{own_signature}"),
            format!("Basic {own}"),
            "Bearer".to_owned(),
            "Bearer .".to_owned(),
        ] {
            let error = sessions.user(&headers(&value)).expect_err(&value);
            assert_eq!(error.status, StatusCode::UNAUTHORIZED);
        }
        assert!(sessions.user(&HeaderMap::new()).is_err());
    }
}
