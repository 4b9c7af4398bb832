//! The negative cases of tokens, each against a project whose key set is really fetched.

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use jsonwebtoken::EncodingKey;
use p256::elliptic_curve::sec1::ToEncodedPoint as _;
use p256::pkcs8::{EncodePrivateKey as _, EncodePublicKey as _};
use proptest::prelude::*;
use serde_json::json;
use std::time::Duration;
use wiremock::matchers::{method, path};
use wiremock::{Mock, MockServer, ResponseTemplate};

use super::*;

const USER: &str = "0b5d1a3e-8a6c-4f0e-9d0e-2f6c1a7b9e11";
const SESSION: &str = "5f0c7d7e-51a4-4a4b-8a3d-7d2f6b1c0a22";
const SECRET: &str = "a shared secret of thirty-two bytes or more";
/// PKCS #1, made for these tests alone.
const RSA_KEY: &str = include_str!("test_rsa_key.b64");

/// A Supabase project as a verifier sees it.
struct Project {
    server: MockServer,
    keys: Vec<Key>,
}

/// A signing key of a project.
struct Key {
    kid: String,
    signing: EncodingKey,
    public: Value,
    algorithm: Algorithm,
}

impl Key {
    fn es256(seed: u8) -> Self {
        let scalar = p256::SecretKey::from_slice(&[seed; 32]).unwrap();
        let point = scalar.public_key().to_encoded_point(false);
        let kid = format!("ec-{seed}");
        let public = json!({
            "kty": "EC", "crv": "P-256", "kid": kid, "alg": "ES256", "use": "sig", "key_ops": ["verify"],
            "x": URL_SAFE_NO_PAD.encode(point.x().unwrap()),
            "y": URL_SAFE_NO_PAD.encode(point.y().unwrap()),
        });
        let der = scalar.to_pkcs8_der().unwrap();
        let signing = EncodingKey::from_ec_der(der.as_bytes());
        Self {
            kid,
            signing,
            public,
            algorithm: Algorithm::ES256,
        }
    }

    fn rs256() -> Self {
        crate::auth::install_crypto();
        let der = STANDARD.decode(RSA_KEY.replace('\n', "")).unwrap();
        let signing = EncodingKey::from_rsa_der(&der);
        let jwk = jsonwebtoken::jwk::Jwk::from_encoding_key(&signing, Algorithm::RS256).unwrap();
        let mut public = serde_json::to_value(jwk).unwrap();
        public["kid"] = json!("rsa");
        Self {
            kid: "rsa".into(),
            signing,
            public,
            algorithm: Algorithm::RS256,
        }
    }

    fn sign(&self, claims: &Value) -> String {
        self.sign_with(claims, |_| ())
    }

    fn sign_with(&self, claims: &Value, change: impl FnOnce(&mut Header)) -> String {
        crate::auth::install_crypto();
        let mut header = Header::new(self.algorithm);
        header.kid = Some(self.kid.clone());
        change(&mut header);
        jsonwebtoken::encode(&header, claims, &self.signing).unwrap()
    }
}

impl Project {
    async fn start() -> Self {
        let project = Self {
            server: MockServer::start().await,
            keys: vec![Key::es256(7), Key::rs256()],
        };
        project
            .publish(&project.keys.iter().collect::<Vec<_>>())
            .await;
        project
    }

    async fn publish(&self, keys: &[&Key]) {
        let keys: Vec<_> = keys.iter().map(|key| &key.public).collect();
        self.answer(ResponseTemplate::new(200).set_body_json(json!({"keys": keys})))
            .await;
    }

    async fn answer(&self, answer: ResponseTemplate) {
        self.server.reset().await;
        Mock::given(method("GET"))
            .and(path("/auth/v1/.well-known/jwks.json"))
            .respond_with(answer)
            .mount(&self.server)
            .await;
    }

    async fn fetches(&self) -> usize {
        self.server.received_requests().await.unwrap().len()
    }

    fn url(&self) -> Url {
        Url::parse(&self.server.uri()).unwrap()
    }

    fn verifier(&self) -> Verifier {
        self.verifier_with(Patience::default())
    }

    fn verifier_with(&self, patience: Patience) -> Verifier {
        let config = VerifierConfig {
            supabase_url: Some(self.url()),
            jwt_secret: Some(SecretString::from(SECRET)),
            built_in: None,
            patience,
        };
        Verifier::new(config).unwrap()
    }

    /// Claims that pass.
    fn claims(&self) -> Value {
        claims(&format!("{}/auth/v1", self.server.uri()))
    }

    /// What each kind of key signs of these claims: ES256, RS256 and HS256.
    fn tokens(&self, claims: &Value) -> Vec<String> {
        let mut tokens: Vec<_> = self.keys.iter().map(|key| key.sign(claims)).collect();
        tokens.push(hs256(claims, SECRET.as_bytes(), None));
        tokens
    }
}

fn claims(issuer: &str) -> Value {
    let now = Utc::now().timestamp();
    json!({
        "iss": issuer, "sub": USER, "aud": "authenticated", "role": "authenticated",
        "exp": now + 3600, "iat": now, "email": " Ada@Example.com", "phone": "",
        "app_metadata": {"provider": "email", "providers": ["email"]},
        "user_metadata": {"full_name": "Ada"}, "aal": "aal1",
        "amr": [{"method": "password", "timestamp": now}],
        "session_id": SESSION, "is_anonymous": false,
    })
}

fn with(claims: &Value, changes: Value) -> Value {
    let mut claims = claims.clone();
    for (name, value) in changes.as_object().unwrap() {
        match value {
            Value::Null => claims.as_object_mut().unwrap().remove(name),
            value => claims
                .as_object_mut()
                .unwrap()
                .insert(name.clone(), value.clone()),
        };
    }
    claims
}

fn hs256(claims: &Value, secret: &[u8], kid: Option<&str>) -> String {
    crate::auth::install_crypto();
    let mut header = Header::new(Algorithm::HS256);
    header.kid = kid.map(str::to_owned);
    jsonwebtoken::encode(&header, claims, &EncodingKey::from_secret(secret)).unwrap()
}

fn unsigned(header: &[u8], claims: &[u8]) -> String {
    format!(
        "{}.{}.",
        URL_SAFE_NO_PAD.encode(header),
        URL_SAFE_NO_PAD.encode(claims)
    )
}

/// A token over exactly these bytes, signed with the shared secret.
fn signed_bytes(header: &[u8], claims: &[u8]) -> String {
    use hmac::Mac as _;
    let message = unsigned(header, claims);
    let mut mac = hmac::Hmac::<sha2::Sha256>::new_from_slice(SECRET.as_bytes()).unwrap();
    mac.update(message.trim_end_matches('.').as_bytes());
    message + &URL_SAFE_NO_PAD.encode(mac.finalize().into_bytes())
}

fn short_patience() -> Patience {
    Patience {
        fresh: Duration::from_millis(200),
        pause: Duration::from_millis(50),
        pause_without_keys: Duration::from_millis(20),
        timeout: Duration::from_millis(300),
    }
}

#[actix_web::test]
async fn each_kind_of_good_token_names_its_person() {
    let project = Project::start().await;
    let verifier = project.verifier();
    let claims = project.claims();
    for token in project.tokens(&claims) {
        let person = verifier.verify(&token).await.unwrap();
        assert_eq!(person.user.to_string(), USER);
        assert_eq!(person.email.as_deref(), Some("ada@example.com"));
        assert_eq!(person.session.unwrap().to_string(), SESSION);
        assert_eq!(person.name.as_deref(), Some("Ada"));
        assert_eq!(
            person.expires_at.timestamp(),
            claims["exp"].as_i64().unwrap()
        );
    }
    assert_eq!(project.fetches().await, 1, "the key set is fetched once");
}

#[actix_web::test]
async fn case_1_no_algorithm_is_no_signature() {
    let project = Project::start().await;
    let verifier = project.verifier();
    let claims = project.claims().to_string();
    for algorithm in ["none", "None", "NONE", "nOnE", ""] {
        let header = json!({"alg": algorithm, "typ": "JWT", "kid": "ec-7"}).to_string();
        let token = unsigned(header.as_bytes(), claims.as_bytes());
        assert_eq!(
            verifier.verify(&token).await,
            Err(TokenError::Malformed),
            "{algorithm}"
        );
    }
    let token = unsigned(br#"{"alg":"HS256"}"#, claims.as_bytes());
    assert_eq!(verifier.verify(&token).await, Err(TokenError::Signature));
}

#[actix_web::test]
async fn case_2_a_public_key_is_no_shared_secret() {
    let project = Project::start().await;
    let with_secret = project.verifier();
    let without_secret = Verifier::new(VerifierConfig {
        supabase_url: Some(project.url()),
        ..VerifierConfig::default()
    })
    .unwrap();
    let public = p256::SecretKey::from_slice(&[7; 32]).unwrap().public_key();
    let der = public.to_public_key_der().unwrap();
    let pem = public
        .to_public_key_pem(p256::pkcs8::LineEnding::LF)
        .unwrap();
    let point = public.to_encoded_point(false);
    let jwk = project.keys[0].public.to_string();
    let modulus = URL_SAFE_NO_PAD
        .decode(project.keys[1].public["n"].as_str().unwrap())
        .unwrap();
    for secret in [
        der.as_bytes(),
        pem.as_bytes(),
        point.as_bytes(),
        jwk.as_bytes(),
        &modulus,
        b"",
    ] {
        for kid in [None, Some("ec-7"), Some("rsa")] {
            let token = hs256(&project.claims(), secret, kid);
            assert_eq!(with_secret.verify(&token).await, Err(TokenError::Signature));
            assert_eq!(
                without_secret.verify(&token).await,
                Err(TokenError::Algorithm)
            );
        }
    }
}

#[actix_web::test]
async fn case_2_the_algorithm_is_the_keys_and_not_the_headers() {
    let project = Project::start().await;
    let verifier = project.verifier();
    let [ec, rsa] = &project.keys[..] else {
        unreachable!()
    };
    let as_rsa = ec.sign_with(&project.claims(), |header| header.kid = Some("rsa".into()));
    let as_ec = rsa.sign_with(&project.claims(), |header| header.kid = Some("ec-7".into()));
    assert_eq!(verifier.verify(&as_rsa).await, Err(TokenError::Algorithm));
    assert_eq!(verifier.verify(&as_ec).await, Err(TokenError::Algorithm));
    let mut other_hash = Key::rs256();
    for algorithm in [Algorithm::RS384, Algorithm::RS512, Algorithm::PS256] {
        other_hash.algorithm = algorithm;
        let token = other_hash.sign(&project.claims());
        assert_eq!(
            verifier.verify(&token).await,
            Err(TokenError::Algorithm),
            "{algorithm:?}"
        );
    }
}

#[actix_web::test]
async fn case_3_unknown_keys_cause_one_fetch_however_many_come() {
    let project = Project::start().await;
    let verifier = project.verifier();
    verifier.warm().await;
    let strangers = (20..80).map(|seed| {
        let token = Key::es256(seed).sign(&project.claims());
        let verifier = &verifier;
        async move { verifier.verify(&token).await }
    });
    for answer in futures::future::join_all(strangers).await {
        assert_eq!(answer, Err(TokenError::UnknownKey));
    }
    assert_eq!(
        project.fetches().await,
        1,
        "within the pause the first fetch has to do"
    );
    assert!(
        verifier
            .verify(&project.keys[0].sign(&project.claims()))
            .await
            .is_ok()
    );
}

#[actix_web::test]
async fn case_3_after_the_pause_one_more_fetch_is_made() {
    let project = Project::start().await;
    let verifier = project.verifier_with(Patience {
        fresh: Duration::from_secs(600),
        ..short_patience()
    });
    verifier.warm().await;
    tokio::time::sleep(Duration::from_millis(60)).await;
    let strangers = (20..40).map(|seed| {
        let token = Key::es256(seed).sign(&project.claims());
        let verifier = &verifier;
        async move { verifier.verify(&token).await }
    });
    for answer in futures::future::join_all(strangers).await {
        assert_eq!(answer, Err(TokenError::UnknownKey));
    }
    assert_eq!(project.fetches().await, 2);
}

#[actix_web::test]
async fn case_4_nothing_in_a_header_is_followed() {
    let project = Project::start().await;
    let attacker = MockServer::start().await;
    let stolen = Key::es256(66);
    let key_set = json!({"keys": [stolen.public]});
    Mock::given(wiremock::matchers::any())
        .respond_with(ResponseTemplate::new(200).set_body_json(key_set))
        .mount(&attacker)
        .await;
    let verifier = project.verifier();
    let address = format!("{}/jwks.json", attacker.uri());

    for kid in [
        "../../../dev/null",
        "' OR 1=1 --",
        &address,
        "",
        "ec-7\0",
        &"k".repeat(5000),
    ] {
        let token = stolen.sign_with(&project.claims(), |header| header.kid = Some(kid.into()));
        assert_eq!(
            verifier.verify(&token).await,
            Err(TokenError::UnknownKey),
            "{kid:.40}"
        );
    }
    let pointing: [fn(&mut Header, &str, &Value); 3] = [
        |header, address, _| header.jku = Some(address.into()),
        |header, address, _| header.x5u = Some(address.into()),
        |header, _, key| header.jwk = serde_json::from_value(key.clone()).ok(),
    ];
    for point in pointing {
        for (kid, refusal) in [
            (None, TokenError::UnknownKey),
            (Some("ec-66"), TokenError::UnknownKey),
            (Some("ec-7"), TokenError::Signature),
        ] {
            let token = stolen.sign_with(&project.claims(), |header| {
                header.kid = kid.map(str::to_owned);
                point(header, &address, &stolen.public);
            });
            assert_eq!(verifier.verify(&token).await, Err(refusal));
        }
    }
    let critical = project.keys[0].sign_with(&project.claims(), |header| {
        header.crit = Some(vec!["exp".into()])
    });
    assert_eq!(verifier.verify(&critical).await, Err(TokenError::Malformed));
    assert_eq!(attacker.received_requests().await.unwrap().len(), 0);
}

/// Every kind of key over the claims with these changes gets the same answer.
async fn refuses(changes: Value, refusal: TokenError) {
    let project = Project::start().await;
    let verifier = project.verifier();
    for token in project.tokens(&with(&project.claims(), changes.clone())) {
        assert_eq!(verifier.verify(&token).await, Err(refusal), "{changes}");
    }
}

async fn accepts(changes: Value) {
    let project = Project::start().await;
    let verifier = project.verifier();
    for token in project.tokens(&with(&project.claims(), changes.clone())) {
        assert!(verifier.verify(&token).await.is_ok(), "{changes}");
    }
}

#[actix_web::test]
async fn case_5_an_expired_token_passes_for_thirty_seconds_and_no_longer() {
    let now = Utc::now().timestamp();
    accepts(json!({"exp": now - 10})).await;
    refuses(json!({"exp": now - 40}), TokenError::Expired).await;
    refuses(json!({"exp": 0}), TokenError::Expired).await;
    refuses(json!({"exp": null}), TokenError::Claims).await;
    refuses(json!({"exp": "never"}), TokenError::Claims).await;
    refuses(json!({"exp": -1}), TokenError::Claims).await;
    refuses(json!({"exp": u64::MAX}), TokenError::Claims).await;
    refuses(json!({"exp": i64::MAX}), TokenError::Claims).await;
}

#[actix_web::test]
async fn case_6_a_token_from_the_future_is_refused() {
    let now = Utc::now().timestamp();
    for claim in ["iat", "nbf"] {
        accepts(json!({claim: now + 30})).await;
        refuses(json!({claim: now + 120}), TokenError::NotYetValid).await;
        refuses(json!({claim: i64::MAX}), TokenError::NotYetValid).await;
        refuses(json!({claim: "soon"}), TokenError::Claims).await;
    }
}

#[actix_web::test]
async fn case_7_only_the_projects_own_issuer_counts() {
    let project = Project::start().await;
    let ours = format!("{}/auth/v1", project.server.uri());
    let verifier = project.verifier();
    for (issuer, refusal) in [
        (
            json!("https://other.supabase.co/auth/v1"),
            TokenError::Issuer,
        ),
        (json!("supabase"), TokenError::Issuer),
        (json!(format!("{ours}/")), TokenError::Issuer),
        (json!(""), TokenError::Issuer),
        (json!([ours]), TokenError::Claims),
        (json!(7), TokenError::Claims),
        (Value::Null, TokenError::Claims),
    ] {
        for token in project.tokens(&with(&project.claims(), json!({"iss": issuer}))) {
            assert_eq!(verifier.verify(&token).await, Err(refusal), "{issuer}");
        }
    }
}

#[actix_web::test]
async fn case_8_only_tokens_for_signed_in_people_count() {
    accepts(json!({"aud": ["other", "authenticated"]})).await;
    refuses(json!({"aud": "other"}), TokenError::Audience).await;
    refuses(json!({"aud": ["other", "anon"]}), TokenError::Audience).await;
    refuses(json!({"aud": []}), TokenError::Audience).await;
    refuses(json!({"aud": null}), TokenError::Claims).await;
    refuses(json!({"aud": {"authenticated": true}}), TokenError::Claims).await;
}

#[actix_web::test]
async fn case_9_no_role_but_authenticated_is_a_person() {
    for role in ["anon", "service_role", "owner", "Authenticated", ""] {
        refuses(json!({"role": role}), TokenError::Role).await;
    }
    refuses(json!({"role": null}), TokenError::Claims).await;
    refuses(json!({"role": ["authenticated"]}), TokenError::Claims).await;
}

#[actix_web::test]
async fn case_10_a_projects_api_key_is_no_person() {
    let project = Project::start().await;
    let verifier = project.verifier();
    for key in [
        "sb_publishable_ACJWlzQHlZjBrEguHvfOxg_3BJgxAaH",
        "sb_secret_N7UND0UgjKTVK-Uodkm0Hg_xSvEMPvz",
    ] {
        assert_eq!(verifier.verify(key).await, Err(TokenError::Malformed));
    }
    let now = Utc::now().timestamp();
    for role in ["anon", "service_role", "authenticated"] {
        let key = json!({
            "iss": "supabase", "ref": "abcdefghijklmnopqrst", "role": role,
            "iat": now, "exp": now + 315_360_000,
        });
        assert!(
            verifier
                .verify(&hs256(&key, SECRET.as_bytes(), None))
                .await
                .is_err(),
            "{role}"
        );
    }
}

#[actix_web::test]
async fn case_11_the_subject_is_a_uuid_in_its_one_spelling() {
    for subject in [
        "",
        "ada",
        "1",
        "00000000-0000-0000-0000-000000000000",
        "{0b5d1a3e-8a6c-4f0e-9d0e-2f6c1a7b9e11}",
        "urn:uuid:0b5d1a3e-8a6c-4f0e-9d0e-2f6c1a7b9e11",
        "0b5d1a3e8a6c4f0e9d0e2f6c1a7b9e11",
        " 0b5d1a3e-8a6c-4f0e-9d0e-2f6c1a7b9e11",
        "0b5d1a3e-8a6c-4f0e-9d0e-2f6c1a7b9e1\0",
    ] {
        refuses(json!({"sub": subject}), TokenError::Subject).await;
    }
    refuses(json!({"sub": null}), TokenError::Claims).await;
    refuses(json!({"sub": 7}), TokenError::Claims).await;
}

#[actix_web::test]
async fn case_12_every_flipped_bit_of_a_signature_breaks_it() {
    let project = Project::start().await;
    let verifier = project.verifier();
    for token in project.tokens(&project.claims()) {
        let (message, signature) = token.rsplit_once('.').unwrap();
        let signature = URL_SAFE_NO_PAD.decode(signature).unwrap();
        for at in 0..signature.len().min(64) {
            let mut flipped = signature.clone();
            flipped[at] ^= 1 << (at % 8);
            let token = format!("{message}.{}", URL_SAFE_NO_PAD.encode(flipped));
            assert_eq!(
                verifier.verify(&token).await,
                Err(TokenError::Signature),
                "byte {at}"
            );
        }
    }
}

#[actix_web::test]
async fn case_12_a_token_cut_anywhere_is_refused() {
    let project = Project::start().await;
    let verifier = project.verifier();
    for token in project.tokens(&project.claims()) {
        for end in (0..token.len()).step_by(7) {
            assert!(verifier.verify(&token[..end]).await.is_err(), "{end}");
        }
        for odd in [
            "",
            ".",
            "..",
            "...",
            "a.b.c",
            "....",
            &format!("{token}."),
            &format!(".{token}"),
            &format!("{token}.x"),
        ] {
            assert!(verifier.verify(odd).await.is_err(), "{odd}");
        }
    }
}

#[actix_web::test]
async fn case_12_an_overlong_token_is_not_read() {
    let project = Project::start().await;
    let verifier = project.verifier();
    let claims = with(&project.claims(), json!({"padding": "x".repeat(20 * 1024)}));
    for token in project.tokens(&claims) {
        assert_eq!(verifier.verify(&token).await, Err(TokenError::TooLong));
    }
    assert_eq!(project.fetches().await, 0);
}

#[actix_web::test]
async fn case_12_a_claim_given_twice_is_refused() {
    let project = Project::start().await;
    let verifier = project.verifier();
    let header = br#"{"alg":"HS256","typ":"JWT"}"#;
    let claims = project.claims().to_string();
    assert!(
        verifier
            .verify(&signed_bytes(header, claims.as_bytes()))
            .await
            .is_ok()
    );
    for twice in [
        r#""role":"authenticated""#,
        r#""sub":"0b5d1a3e-8a6c-4f0e-9d0e-2f6c1a7b9e11""#,
        r#""exp":9999999999"#,
    ] {
        let claims = format!("{{{twice},{}", &claims[1..]);
        let token = signed_bytes(header, claims.as_bytes());
        assert_eq!(
            verifier.verify(&token).await,
            Err(TokenError::Claims),
            "{twice}"
        );
    }
    let twice = br#"{"alg":"HS256","alg":"HS256"}"#;
    let token = signed_bytes(twice, claims.as_bytes());
    assert_eq!(verifier.verify(&token).await, Err(TokenError::Malformed));
}

#[actix_web::test]
async fn case_12_bytes_that_are_no_text_are_refused() {
    let project = Project::start().await;
    let verifier = project.verifier();
    let header = br#"{"alg":"HS256","typ":"JWT"}"#;
    let mut claims = project.claims().to_string().into_bytes();
    let at = claims.iter().position(|byte| *byte == b'A').unwrap();
    claims[at] = 0xff;
    assert!(
        verifier
            .verify(&signed_bytes(header, &claims))
            .await
            .is_err()
    );
    assert!(
        verifier
            .verify(&signed_bytes(b"\xff\xfe", b"{}"))
            .await
            .is_err()
    );
    assert!(
        verifier
            .verify(&signed_bytes(header, b"null"))
            .await
            .is_err()
    );
    assert!(
        verifier
            .verify(&signed_bytes(header, "[".repeat(4000).as_bytes()))
            .await
            .is_err()
    );
    assert!(verifier.verify("\u{202e}eyJ.\u{0}.é").await.is_err());
}

proptest! {
    #[test]
    fn case_12_no_bytes_at_all_make_the_verifier_panic(
        header in proptest::collection::vec(proptest::num::u8::ANY, 0..60),
        claims in proptest::collection::vec(proptest::num::u8::ANY, 0..60),
        text in "\\PC{0,80}",
    ) {
        let verifier = Verifier::new(VerifierConfig {
            jwt_secret: Some(SecretString::from(SECRET)),
            ..VerifierConfig::default()
        }).unwrap();
        let algorithm = br#"{"alg":"HS256"}"#;
        for token in [signed_bytes(&header, &claims), signed_bytes(algorithm, &claims), text] {
            prop_assert!(futures::executor::block_on(verifier.verify(&token)).is_err());
        }
    }
}

#[actix_web::test]
async fn case_15_what_people_write_about_themselves_gives_no_rights() {
    let project = Project::start().await;
    let verifier = project.verifier();
    let honest = project.claims();
    let forged = with(
        &honest,
        json!({
            "user_metadata": {
                "full_name": "Ada", "role": "owner", "workspace_id": USER, "sub": SESSION,
                "email": "boss@example.com", "email_verified": true,
            },
            "workspace_id": USER, "user_role": "owner", "is_admin": true,
        }),
    );
    let honest = verifier
        .verify(&project.keys[0].sign(&honest))
        .await
        .unwrap();
    assert_eq!(
        verifier
            .verify(&project.keys[0].sign(&forged))
            .await
            .unwrap(),
        honest
    );
}

#[actix_web::test]
async fn case_15_odd_metadata_costs_nobody_the_sign_in() {
    for metadata in [
        json!("text"),
        json!([1]),
        json!({"full_name": 7}),
        json!({"name": "\u{7}"}),
    ] {
        let project = Project::start().await;
        let claims = with(&project.claims(), json!({"user_metadata": metadata}));
        let person = project
            .verifier()
            .verify(&project.keys[0].sign(&claims))
            .await
            .unwrap();
        assert_eq!(person.name, None);
    }
}

#[actix_web::test]
async fn case_16_without_keys_at_the_start_the_answer_is_not_ready_and_heals() {
    let project = Project::start().await;
    project.answer(ResponseTemplate::new(503)).await;
    let verifier = project.verifier_with(short_patience());
    let token = project.keys[0].sign(&project.claims());
    assert_eq!(
        verifier.verify(&token).await,
        Err(TokenError::KeysUnavailable)
    );
    assert!(!verifier.is_ready());

    project.publish(&[&project.keys[0]]).await;
    tokio::time::sleep(Duration::from_millis(30)).await;
    assert!(verifier.verify(&token).await.is_ok());
    assert!(verifier.is_ready());
}

#[actix_web::test]
async fn case_16_the_last_good_keys_live_while_the_endpoint_is_ill() {
    let project = Project::start().await;
    let verifier = project.verifier_with(short_patience());
    let token = project.keys[0].sign(&project.claims());
    assert!(verifier.verify(&token).await.is_ok());
    for illness in [
        ResponseTemplate::new(500),
        ResponseTemplate::new(302).insert_header("location", "/elsewhere"),
        ResponseTemplate::new(200).set_body_string("<html>maintenance</html>"),
        ResponseTemplate::new(200).set_body_string("x".repeat(300 * 1024)),
        ResponseTemplate::new(200)
            .set_body_string("{}")
            .set_delay(Duration::from_secs(5)),
    ] {
        project.answer(illness).await;
        tokio::time::sleep(Duration::from_millis(210)).await;
        assert!(verifier.verify(&token).await.is_ok());
        assert_eq!(
            project.fetches().await,
            1,
            "it was asked, and its answer not taken"
        );
        assert!(verifier.is_ready());
    }
}

#[actix_web::test]
async fn case_16_a_new_key_is_taken_and_a_revoked_one_dies_with_the_cache() {
    let project = Project::start().await;
    let verifier = project.verifier_with(short_patience());
    let old = project.keys[0].sign(&project.claims());
    assert!(verifier.verify(&old).await.is_ok());

    let next = Key::es256(9);
    project.publish(&[&next]).await;
    tokio::time::sleep(Duration::from_millis(60)).await;
    assert!(
        verifier.verify(&next.sign(&project.claims())).await.is_ok(),
        "after one pause"
    );
    assert_eq!(verifier.verify(&old).await, Err(TokenError::UnknownKey));

    project.publish(&[]).await;
    tokio::time::sleep(Duration::from_millis(210)).await;
    let revoked = verifier.verify(&next.sign(&project.claims())).await;
    assert_eq!(
        revoked,
        Err(TokenError::UnknownKey),
        "after one life of the cache"
    );
}

#[actix_web::test]
async fn a_callers_leaving_does_not_cancel_the_fetch() {
    let project = Project::start().await;
    let keys = json!({"keys": [project.keys[0].public]});
    project
        .answer(
            ResponseTemplate::new(200)
                .set_body_json(keys)
                .set_delay(Duration::from_millis(80)),
        )
        .await;
    let verifier = project.verifier();
    let token = project.keys[0].sign(&project.claims());
    let impatient = tokio::time::timeout(Duration::from_millis(20), verifier.verify(&token)).await;
    assert!(impatient.is_err());
    assert!(verifier.verify(&token).await.is_ok());
    assert_eq!(project.fetches().await, 1);
}

#[actix_web::test]
async fn a_shared_secret_alone_leaves_the_issuer_open_but_not_to_api_keys() {
    let verifier = Verifier::new(VerifierConfig {
        jwt_secret: Some(SecretString::from(SECRET)),
        ..VerifierConfig::default()
    })
    .unwrap();
    let signed = |claims: Value, kid| hs256(&claims, SECRET.as_bytes(), kid);
    let good = claims("https://auth.example.com");
    assert!(verifier.verify(&signed(good.clone(), None)).await.is_ok());
    assert!(
        verifier
            .verify(&signed(good.clone(), Some("in no key set")))
            .await
            .is_ok()
    );
    assert_eq!(
        verifier.verify(&signed(claims("supabase"), None)).await,
        Err(TokenError::Issuer)
    );
    assert_eq!(
        verifier
            .verify(&signed(with(&good, json!({"iss": null})), None))
            .await,
        Err(TokenError::Claims)
    );
    assert_eq!(
        verifier
            .verify(&hs256(&good, b"another secret", None))
            .await,
        Err(TokenError::Signature)
    );
    assert_eq!(
        verifier.verify(&Key::es256(7).sign(&good)).await,
        Err(TokenError::Algorithm)
    );
}

#[actix_web::test]
async fn the_built_in_provider_is_trusted_for_its_own_key_alone() {
    let base = Url::parse("http://127.0.0.1:8080").unwrap();
    let keys = |secret: &str| BuiltInKeys::derive(&SecretString::from(secret), &base).unwrap();
    let ours = keys("our secret");
    let verifier = Verifier::new(VerifierConfig {
        built_in: Some(ours.clone()),
        ..VerifierConfig::default()
    })
    .unwrap();
    let claims = claims("http://127.0.0.1:8080/auth/v1");
    assert!(verifier.verify(&ours.sign(&claims).unwrap()).await.is_ok());
    let foreign = keys("another secret").sign(&claims).unwrap();
    assert_eq!(verifier.verify(&foreign).await, Err(TokenError::UnknownKey));
    let symmetric = hs256(&claims, b"our secret", Some(ours.kid()));
    assert_eq!(
        verifier.verify(&symmetric).await,
        Err(TokenError::Algorithm)
    );
}

#[actix_web::test]
async fn with_nothing_configured_nobody_is_let_in() {
    let verifier = Verifier::new(VerifierConfig::default()).unwrap();
    let claims = claims("http://127.0.0.1:8080/auth/v1");
    assert!(verifier.verify(&Key::es256(7).sign(&claims)).await.is_err());
    assert!(verifier.verify(&hs256(&claims, b"", None)).await.is_err());
}
