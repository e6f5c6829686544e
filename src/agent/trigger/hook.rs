//! Deliveries of webhooks: whether they are genuine, and what tells a repeated one (docs/agents.md §6).

use hmac::{Hmac, KeyInit, Mac};
use serde_json::Value;
use sha2::{Digest, Sha256};

use crate::agent::definition::{Idempotency, Secret, Verify, Webhook};

/// What was delivered.
#[derive(Debug, Clone, Copy)]
pub struct Delivery<'d> {
    /// Lower-case names.
    pub headers: &'d [(String, String)],
    pub body: &'d [u8],
}

/// Why a delivery is not taken.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Untrusted {
    #[error("the signature in `{header}` is not that of this body: sign it with HMAC-SHA-256 and the shared secret")]
    BadSignature { header: String },
    #[error("this hook cannot check signatures: set `{name}` and start the server again")]
    NoSecret { name: String },
}

impl Delivery<'_> {
    fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    /// Whether it comes from who shares the secret. A hook without one takes everything.
    pub fn verify(&self, hook: &Webhook) -> Result<(), Untrusted> {
        let Some(Verify { hmac_sha256, header }) = &hook.verify else { return Ok(()) };
        let secret = match hmac_sha256 {
            Secret::Present(secret) => secret,
            Secret::Missing { name } => return Err(Untrusted::NoSecret { name: name.clone() }),
        };
        let signed = self.header(header).map(str::trim);
        let claimed = signed.map(|value| value.strip_prefix("sha256=").unwrap_or(value)).and_then(unhex);
        let mut mac = Hmac::<Sha256>::new_from_slice(secret.as_bytes()).expect("a key of any length is one");
        mac.update(self.body);
        // Compared in constant time.
        let is_genuine = claimed.is_some_and(|claimed| mac.verify_slice(&claimed).is_ok());
        if is_genuine { Ok(()) } else { Err(Untrusted::BadSignature { header: header.clone() }) }
    }

    /// What a repeated delivery has in common with the first; `None` when each is another.
    pub fn key(&self, hook: &Webhook, body: &Value) -> Option<String> {
        match hook.idempotency.as_ref()? {
            Idempotency::Header(name) => self.header(name).map(str::to_owned),
            Idempotency::Body(place) => place.get(body).map(|value| match value {
                Value::String(text) => text.clone(),
                other => other.to_string(),
            }),
        }
    }
}

/// SHA-256 of a body in lower-case hex: what a repetition under the same key is held against.
pub fn fingerprint(body: &[u8]) -> String {
    Sha256::digest(body).iter().map(|byte| format!("{byte:02x}")).collect()
}

fn unhex(text: &str) -> Option<Vec<u8>> {
    let pairs = text.as_bytes().chunks(2);
    if !text.len().is_multiple_of(2) {
        return None;
    }
    pairs.map(|pair| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok()).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::state::pointer::Pointer;

    fn hook(idempotency: Option<Idempotency>) -> Webhook {
        let verify = Verify {
            hmac_sha256: Secret::Present("It's a Secret to Everybody".to_owned()),
            header: "x-hub-signature-256".to_owned(),
        };
        Webhook { name: "github".to_owned(), verify: Some(verify), idempotency, map: Vec::new() }
    }

    fn verified(signature: Option<&str>) -> bool {
        let headers: Vec<_> =
            signature.map(|value| ("x-hub-signature-256".to_owned(), value.to_owned())).into_iter().collect();
        Delivery { headers: &headers, body: b"Hello, World!" }.verify(&hook(None)).is_ok()
    }

    #[test]
    fn a_signature_is_taken_with_and_without_its_algorithm() {
        // The example of GitHub's documentation of webhooks.
        let good = "757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17";
        assert!(verified(Some(good)) && verified(Some(&format!("sha256={good}"))));
        let bad = good.replace('7', "8");
        for wrong in [None, Some(""), Some("sha256="), Some("sha1=757107ea"), Some(&bad), Some(&good[1..]), Some("zz")]
        {
            assert!(!verified(wrong), "{wrong:?}");
        }
    }

    #[test]
    fn a_repeated_delivery_has_the_key_of_the_first() {
        let headers = [("x-id".to_owned(), "7".to_owned())];
        let delivery = Delivery { headers: &headers, body: b"{}" };
        let key = |idempotency| delivery.key(&hook(idempotency), &json!({"id": 9, "name": "a"}));
        assert_eq!(key(None), None);
        assert_eq!(key(Some(Idempotency::Header("x-id".to_owned()))).as_deref(), Some("7"));
        assert_eq!(key(Some(Idempotency::Header("x-other".to_owned()))), None);
        let body = |path: &str| key(Some(Idempotency::Body(Pointer::parse(path).expect("a pointer"))));
        assert_eq!((body("/id").as_deref(), body("/name").as_deref(), body("/none")), (Some("9"), Some("a"), None));
    }
}
