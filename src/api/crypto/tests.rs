//! Signatures and tokens against the examples of the RFCs, against another implementation, and against
//! those who would cheat.

use super::fixture::{member, run, text};
use super::key::Key;
use crate::api::fixture::{map, message, vu};
use crate::api::{Args, Value};

/// RFC 7515, A.2: the RSA key, as a JWK and in the PEM forms that openssl writes.
const RSA_JWK: &str = include_str!("tests/keys/rfc7515_rsa.json");
const RSA_PKCS8: &str = include_str!("tests/keys/rfc7515_rsa_pkcs8.pem");
const RSA_PKCS1: &str = include_str!("tests/keys/rfc7515_rsa_pkcs1.pem");
const RSA_ENCRYPTED: &str = include_str!("tests/keys/rfc7515_rsa_encrypted.pem");
const RSA_PUBLIC: &str = include_str!("tests/keys/rfc7515_rsa_public.pem");
const RSA_PUBLIC_PKCS1: &str = include_str!("tests/keys/rfc7515_rsa_public_pkcs1.pem");

/// RFC 7515, A.3: the key on P-256.
const EC_JWK: &str = r#"{"kty":"EC","crv":"P-256",
    "x":"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU",
    "y":"x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0",
    "d":"jpsQnnGQmL-YBIffH1136cspYG6-0iY7X1fCE9-E9LI"}"#;
const EC_PKCS8: &str = include_str!("tests/keys/rfc7515_ec_pkcs8.pem");
const EC_SEC1: &str = include_str!("tests/keys/rfc7515_ec_sec1.pem");
const EC_PUBLIC: &str = include_str!("tests/keys/rfc7515_ec_public.pem");

/// RFC 8037, A.1: the Ed25519 key.
const ED_JWK: &str = r#"{"kty":"OKP","crv":"Ed25519",
    "d":"nWGxne_9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A",
    "x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}"#;
const ED_PKCS8: &str = include_str!("tests/keys/rfc8037_ed25519_pkcs8.pem");
const ED_PUBLIC: &str = include_str!("tests/keys/rfc8037_ed25519_public.pem");

const P384_PKCS8: &str = include_str!("tests/keys/p384_pkcs8.pem");
const P384_PUBLIC: &str = include_str!("tests/keys/p384_public.pem");

/// RFC 7515, A.1 and following: what is signed there.
const PAYLOAD: &str = "eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ";

/// RFC 7515, A.1: the secret, and the signature of its token.
const SECRET_JWK: &str = r#"{"kty":"oct",
    "k":"AyM1SysPpbyDfgZld3umj1qzKObwVMkoqQ-EstJQLr_T-1qS0gZH75aKtMN3Yj0iPS4hcgUuTwjAzZr1Z9CAow"}"#;
const HS256_HEADER: &str = "eyJ0eXAiOiJKV1QiLA0KICJhbGciOiJIUzI1NiJ9";
const HS256: &str = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";

/// RFC 7515, A.2.
const RS256_HEADER: &str = "eyJhbGciOiJSUzI1NiJ9";
const RS256: &str = "cC4hiUPoj9Eetdgtv3hF80EGrhuB__dzERat0XF9g2VtQgr9PJbu3XOiZj5RZmh7AAuHIm4Bh-0Qc_lF5YKt_O8W2Fp5jujGbds9uJdbF9CUAr7t1dnZcAcQjbKBYNX4BAynRFdiuB--f_nZLgrnbyTyWzO75vRK5h6xBArLIARNPvkSjtQBMHlb1L07Qe7K0GarZRmB_eSN9383LcOLn6_dO--xi12jzDwusC-eOkHWEsqtFZESc6BfI7noOPqvhJ1phCnvWh6IeYI2w9QOYEUipUTI8np6LbgGY9Fs98rqVt5AXLIhWkWywlVmtVrBp0igcN_IoypGlUPQGe77Rw";

/// RFC 7515, A.3.
const ES256_HEADER: &str = "eyJhbGciOiJFUzI1NiJ9";
const ES256: &str =
    "DtEhU3ljbEg8L38VWAfUAqOyKAM6-Xx-F4GawxaepmXFCgfTjDxw5djxLa8ISlSApmWQxfKTUJqPP3-Kg6NU1Q";

/// RFC 8037, A.4.
const EDDSA_HEADER: &str = "eyJhbGciOiJFZERTQSJ9";
const EDDSA_PAYLOAD: &str = "RXhhbXBsZSBvZiBFZDI1NTE5IHNpZ25pbmc";
const EDDSA: &str =
    "hgyY0il_MGCjP0JzlnLWG1PPOt7-09PGcvMg3AIbQR6dWbhijcNR4ki4iylGjg5BhVsPt9g7sVvpAr_MuM0KAg";

/// Signatures of "signed elsewhere" with these keys, made by pyca/cryptography 48 on OpenSSL.
const ELSEWHERE: &[(&str, &str)] = &[
    (
        "RS256",
        "ZrdMk48f_RGY14FBwVKkKCoDh5xJX2rfFBVmlhNCx6eF0UCItZRl1H0Pxfat3cNdcbTZ6XEdERtHm71en_BGa9_61YAP073z99lirvsdK8zBAZla-jT0VFUAQQOwcmGpArDNTicdiZgZzw9G9uCOHUTzcxsW3XDhOzjJIuCuoM_fG9kCVqs9CX56khhqylQLvgXct1OxK11I8SbGIH9x0YZzferhfm31s9sS5UyR_ilM39kk-dqA5iTqd-O5ejvMI5CbB1gRdKcTdKmlLkNeM7f9h6TWNj8GvKpaVKdZINAAbRfT12tOFsGF9EDVJeFdoaxLtRfysVWx6aN6_CUUDw",
    ),
    (
        "RS384",
        "XRQof_OqeSEafqqjwSY9UgYt7YCqng2Fh2kbm2rqApqFSlPMWxomAK3JqYong76e9xAgtPZqFJR6z0wTN9AxIxtSI75SvbaoTKPKU3XiRrsakJ6Z72tQc_bNfrqf1G6mxV_dSp0_oeJnR-fqNFEnf65RZ2E_baNq93H7o3m3oyrrchQadQDFEaRWfgA-UFTqGqh5B6mvjIFofyFPw06O82cBGZeoSEq27XfHTjvcIsngbX8wg30r5I-Y5dH8pB3UJ0-KT4xeQ34oXs1LG9T5v3n71SV8lM6BYMkn7nzQKN1RggLIxh8hgdDLa75Mnd1JZ9uqrd1hmEGiJRp45TdTYw",
    ),
    (
        "RS512",
        "Q4D6_BbK8wB8BqKmMSAzMRXapfWVX4szv2Uh4_viUAkptdnKzOCpShyDmAabm6mIM2tvbgqjOZYOF9TJXAqycPnKf6WEWEqRWNBZ9pIae9Vhl7Avw6nP42GaTrjYbNCHyqGcwwHOor2VJ6-H3Iko1Gq3Jn06k7vnHH6DGtR-OmHVscJDZ6WOZFR30-9vNWj0uD9agdS3lOMUFj0P8v3o3u-Jo1471RWQbXIMSC6M7oHmstUDGj-qQ4eDaoUoGxo_LiwK9lS5uqUh-Dc6vJ-o6HR_B4-2IrsYC4S_4SeHBCmfhg5XgOU-ve2gTDP71dUBONOsm-MbxlwPpEZWlPSqEg",
    ),
    (
        "PS256",
        "bECeA-eMYTme-fsje94KetizTWXfNfGd0TpVmdHGd1xwkwHmEsYu8ssXwrYxchBT99wstlbrhcdGbCsmeGR_-9Pjk02Fdx8ysg1ndV_vIHIMeCiczxI6r0gWEhXp2UX_0mE0OAYVhdX23HwNowM9HRDFqB8tVuoGYhSJPWvAyQ3hlzH4awKIGt3fWQ1rY8u-7bkDfUY5iCc2lokalVgo7OzAG66KVw1bugsssqKv7gLykV5jXN3wI7Bsn5sIKoWnQswRpOAY8AjpGca_qRkqGI-zQd8tuWXBlkXjgNz50i2GpdlX8wreSUAXs3STPxLpELce4dRr6TzXur_9_ES4Iw",
    ),
    (
        "PS384",
        "eDVEWPXGViGPuk3aTFPvOoQC3W-cVmUckq4RDY2KxgtTwalyTV3jxGgT9YP4LE_jxq0lwhNP4b2VeTWghNtECwrRUjMKyOca3fbql0QAMvbj2YUIPRPt1p1em4CW4y2zoq8AzudIdGybQOy0__hmn8m-ctDXxUi5STYWxZvBJ22hiLpediotxHUhXDVMB3UFHduStK3mA4nUL3OVGOQzJcTgGohG-ZSHlLcFE8QmEWkiM2bC9shSk68gTfdowiM_4HbMj1UcLN0v0F9HfxQ6OxKDIoPWQvAVnpl3NsJswYEMfFTUPkDRDwOHk7JaulOx3Oi5bQg8vWRLnZT2BE4yOA",
    ),
    (
        "PS512",
        "D1f913RE4rCogmEdfVfsnkj3-wbPeqIrwXi5iN5qmfSSHn7V_WFtt57R9arxAMx0Mxe8gsYl5GfQcTM_d2_hIWD2DySpka6UDtVH8g5_ouCeBHIDUonaWcMyWwqUPrzE5LkUoLa-qijYgfy48tqKma7nC9tMs3jC73heZJTAruWaQeqSMHz9e4_wDG1M7smVByLf-mTf5e1fGEHE6-06ToqDspA59ts5MEQVbdd1S3pldLfcrD-GmxYqy541lbXd5WoUPNZaK-ruoYGT8ibA7sSe7LBVLvrSl-qTJPG7ZwDSohWh9AgrwH9Cox3njaQ3Gm09jcc8hmoZ8ux6ezn7jw",
    ),
    (
        "ES256",
        "0JIldrL5ptwcdqsjGsKe9Ig1STvABJ8rcvMTsDxZ927qtyzqBPnR2S3R09rlt8dg3JSu9oEmG7qJ5GqQTJmmzQ",
    ),
    (
        "ES384",
        "_oEf13EHaX_2xGlrBPAGqN6hYb_ORMjv2MEXTjt2k8QrKIIJL60tFFQ8zdk5z-OZw7LidB2ScyyKftJn5BHDJp-REglm57dYuYGV9rYuMtFlb1fT0ZxYzaisxXwaGsTp",
    ),
    (
        "EdDSA",
        "OCdKY6g1BSwHibug_cKg6oxL208K2E-1axMshsSPHbfne_6Q0tPgT-ZZGM_hk4M1teJ_QB2Yod8H6bvQfe00DA",
    ),
];

/// The time at which the RFC's token is valid.
fn then() -> Value {
    map([("time", 1_300_819_000_i64.into())])
}

fn sign(algorithm: &str, key: &str, data: &str) -> String {
    let values = vec![algorithm.into(), key.into(), data.into(), "base64rawurl".into()];
    text("sign", values)
}

fn verify(algorithm: &str, key: &str, data: &str, signature: &str) -> Value {
    let values =
        vec![algorithm.into(), key.into(), data.into(), signature.into(), "base64rawurl".into()];
    run("verify", values).unwrap()
}

/// Returns what `jwt.verify` finds wrong; nothing if it finds the token valid.
fn problem(token: &str, key: &str, options: Value) -> Value {
    let verified = run("jwt.verify", vec![token.into(), key.into(), options]).unwrap();
    let problem = member(&verified, "error");
    assert_eq!(member(&verified, "valid"), (problem == Value::Nil).into());
    problem
}

#[test]
fn signatures_that_are_always_the_same_are_the_rfc_s() {
    let data = format!("{HS256_HEADER}.{PAYLOAD}");
    assert_eq!(sign("HS256", SECRET_JWK, &data), HS256);
    let data = format!("{RS256_HEADER}.{PAYLOAD}");
    for key in [RSA_JWK, RSA_PKCS8, RSA_PKCS1] {
        assert_eq!(sign("RS256", key, &data), RS256);
    }
    let data = format!("{EDDSA_HEADER}.{EDDSA_PAYLOAD}");
    for key in [ED_JWK, ED_PKCS8] {
        assert_eq!(sign("EdDSA", key, &data), EDDSA);
    }
}

#[test]
fn tokens_of_the_rfc_are_valid_with_every_form_of_their_key() {
    let tokens: [(String, &[&str]); 3] = [
        (format!("{HS256_HEADER}.{PAYLOAD}.{HS256}"), &[SECRET_JWK]),
        (
            format!("{RS256_HEADER}.{PAYLOAD}.{RS256}"),
            &[RSA_JWK, RSA_PKCS8, RSA_PKCS1, RSA_PUBLIC, RSA_PUBLIC_PKCS1],
        ),
        (format!("{ES256_HEADER}.{PAYLOAD}.{ES256}"), &[EC_JWK, EC_PKCS8, EC_SEC1, EC_PUBLIC]),
    ];
    for (token, keys) in tokens {
        for key in keys {
            assert_eq!(problem(&token, key, then()), Value::Nil, "{key}");
            let late = problem(&token, key, Value::Nil);
            let late = late.as_text().unwrap().into_owned();
            assert!(late.starts_with("the token expired "), "{late}");
        }
        let mut other = token.clone();
        other.insert_str(token.find('.').unwrap() + 1, "e30g");
        assert_eq!(problem(&other, keys[0], then()), "the signature does not fit".into());
    }
    let token = format!("{EDDSA_HEADER}.{EDDSA_PAYLOAD}.{EDDSA}");
    for key in [ED_JWK, ED_PKCS8, ED_PUBLIC] {
        assert_eq!(problem(&token, key, Value::Nil), Value::Nil);
    }
    let decoded = run("jwt.decode", vec![token.into()]).unwrap();
    assert_eq!(member(&decoded, "claims"), "Example of Ed25519 signing".into());
    assert_eq!(member(&decoded, "header"), map([("alg", "EdDSA".into())]));
    assert_eq!(member(&decoded, "signature"), EDDSA.into());
}

#[test]
fn signatures_of_another_implementation_fit() {
    for (algorithm, signature) in ELSEWHERE {
        let keys: &[&str] = match *algorithm {
            "ES256" => &[EC_PUBLIC, EC_PKCS8],
            "ES384" => &[P384_PUBLIC, P384_PKCS8],
            "EdDSA" => &[ED_PUBLIC, ED_PKCS8],
            _ => &[RSA_PUBLIC, RSA_PKCS8],
        };
        for key in keys {
            let fits = |data: &str| verify(algorithm, key, data, signature);
            assert_eq!(fits("signed elsewhere"), true.into(), "{algorithm}");
            assert_eq!(fits("signed here"), false.into(), "{algorithm}");
        }
        // What the other side signs without chance is the same here.
        if algorithm.starts_with("RS") || *algorithm == "EdDSA" {
            assert_eq!(sign(algorithm, keys[1], "signed elsewhere"), *signature);
        } else {
            let own = sign(algorithm, keys[1], "signed elsewhere");
            assert_ne!(own, *signature, "{algorithm} signs with chance");
            assert_eq!(verify(algorithm, keys[0], "signed elsewhere", &own), true.into());
        }
    }
}

#[test]
fn a_token_that_was_signed_here_is_valid_here() {
    for (key, algorithm) in [
        ("secret", "HS256"),
        ("secret", "HS384"),
        ("secret", "HS512"),
        (RSA_PKCS8, "RS256"),
        (RSA_PKCS8, "PS512"),
        (EC_PKCS8, "ES256"),
        (P384_PKCS8, "ES384"),
        (ED_PKCS8, "EdDSA"),
    ] {
        let claims = map([("sub", "ada".into()), ("admin", true.into())]);
        let options = map([
            ("algorithm", algorithm.into()),
            ("expires_in", "1m".into()),
            ("headers", map([("kid", "k1".into())])),
        ]);
        let key = run("key", vec![key.into()]).unwrap();
        let token = run("jwt.sign", vec![claims, key.clone(), options]).unwrap();
        let verified = run("jwt.verify", vec![token, key]).unwrap();
        assert_eq!(member(&verified, "error"), Value::Nil);
        let header = map([("alg", algorithm.into()), ("typ", "JWT".into()), ("kid", "k1".into())]);
        assert_eq!(member(&verified, "header"), header);
        let claims = member(&verified, "claims");
        assert_eq!(member(&claims, "sub"), "ada".into());
        let (Value::Int(from), Value::Int(to)) = (member(&claims, "iat"), member(&claims, "exp"))
        else {
            panic!("{claims:?}")
        };
        assert_eq!(to - from, 60);
    }
}

#[test]
fn a_token_without_options_has_the_usual_header() {
    let token = text("jwt.sign", vec![map([("a", 1_i64.into())]), "secret".into()]);
    // {"alg":"HS256","typ":"JWT"} and {"a":1}
    assert!(token.starts_with("eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.eyJhIjoxfQ."), "{token}");
}

#[test]
fn claims_are_checked() {
    let token = |claims| text("jwt.sign", vec![claims, "k".into()]);
    let check = |claims: Value, options: Value| problem(&token(claims), "k", options);
    let at = |time: i64| map([("time", time.into())]);
    let exp = || map([("exp", 100_i64.into())]);
    assert_eq!(check(exp(), at(99)), Value::Nil);
    assert_eq!(check(exp(), at(100)), "the token expired 0 s ago".into());
    let late = map([("time", 105_i64.into()), ("leeway", "10s".into())]);
    assert_eq!(check(exp(), late), Value::Nil);
    let nbf = || map([("nbf", 100_i64.into())]);
    assert_eq!(check(nbf(), at(70)), "the token is valid in 30 s only".into());
    assert_eq!(check(nbf(), at(100)), Value::Nil);
    let issuer = || map([("issuer", "me".into())]);
    assert_eq!(check(map([("iss", "me".into())]), issuer()), Value::Nil);
    assert_eq!(check(map([]), issuer()), "the token's issuer is not \"me\"".into());
    let audience = || map([("audience", "us".into())]);
    let both = Value::List(vec!["them".into(), "us".into()]);
    assert_eq!(check(map([("aud", both)]), audience()), Value::Nil);
    assert_eq!(check(map([("aud", "us".into())]), audience()), Value::Nil);
    let them = map([("aud", "them".into())]);
    assert_eq!(check(them, audience()), "the token is not for \"us\"".into());
    let odd = map([("exp", "tomorrow".into())]);
    assert_eq!(check(odd, at(0)), "the claim `exp` is a string, not a number".into());
}

#[test]
fn a_key_s_kind_says_which_algorithms_there_are() {
    // Who knows the public key signs with it as a secret, and says HS256.
    let signed = "eyJhbGciOiJIUzI1NiJ9.e30";
    let values = vec!["sha256".into(), RSA_PUBLIC.into(), signed.into(), "base64rawurl".into()];
    let forged = format!("{signed}.{}", text("hmac", values));
    let said = problem(&forged, RSA_PUBLIC, Value::Nil);
    assert_eq!(said, "HS256 needs a secret, got an RSA key".into());
    // Nobody signs.
    let unsigned = "eyJhbGciOiJub25lIn0.e30.";
    let said = problem(unsigned, "secret", Value::Nil);
    assert_eq!(said, "the token is not signed (`alg` is none)".into());
    // The payload is to be read in another way (RFC 7797).
    let crit = map([("b64", false.into()), ("crit", Value::List(vec!["b64".into()]))]);
    let options = map([("headers", crit)]);
    let token = text("jwt.sign", vec![map([]), "k".into(), options]);
    let said = problem(&token, "k", Value::Nil);
    assert_eq!(said, "the token demands extensions that are not known here (`crit`)".into());
    // Another algorithm than the one that was asked for.
    let options = map([("algorithm", "HS512".into())]);
    let token = text("jwt.sign", vec![map([]), "k".into(), options]);
    let wanted = map([("algorithm", "HS256".into())]);
    let said = problem(&token, "k", wanted);
    assert_eq!(said, "the token is signed with HS512, not with HS256".into());
}

#[test]
fn what_is_no_token_is_a_value_that_says_so() {
    for (token, said) in [
        ("", "a token has three parts with dots between, got 1"),
        ("a.b.c.d", "a token has three parts with dots between, got 4"),
        ("e30.e30.e30", "the token's header names no algorithm (`alg`)"),
        ("W10.e30.e30", "the token's header is no JSON object"),
        ("eyJhbGciOiJFUzUxMiJ9.e30.e30", "the token's algorithm ES512 is not supported"),
    ] {
        assert_eq!(problem(token, "k", Value::Nil), said.into(), "{token}");
    }
    let said = problem("e*.e30.e30", "k", Value::Nil);
    let said = said.as_text().unwrap().into_owned();
    assert!(said.starts_with("the token's header: the text is no base64url"), "{said}");
    let said = message(run("jwt.decode", vec!["a.b".into()]));
    assert_eq!(said, "crypto.jwt.decode: a token has three parts with dots between, got 2");
}

#[test]
fn keys_say_what_they_are() {
    for (key, kind, private, algorithm) in [
        ("secret", "secret", true, "HS256"),
        (SECRET_JWK, "secret", true, "HS256"),
        (RSA_PUBLIC, "rsa", false, "RS256"),
        (RSA_PKCS1, "rsa", true, "RS256"),
        (EC_SEC1, "ec", true, "ES256"),
        (P384_PUBLIC, "ec", false, "ES384"),
        (ED_PUBLIC, "ed25519", false, "EdDSA"),
    ] {
        let Value::Object(key) = run("key", vec![key.into()]).unwrap() else { unreachable!() };
        let field = |name| key.get(&vu(1), name).unwrap().unwrap();
        assert_eq!(field("kind"), kind.into());
        assert_eq!(field("private"), private.into());
        assert_eq!(field("algorithm"), algorithm.into());
    }
    let public = vec!["RS256".into(), RSA_PUBLIC.into(), "x".into()];
    assert_eq!(
        message(run("sign", public)),
        "crypto.sign: RS256 needs the private key to sign, got the public one"
    );
}

#[test]
fn what_is_no_key_is_named() {
    let cut = RSA_PKCS8.replacen("MII", "MIA", 1);
    for (key, problem) in [
        (
            RSA_ENCRYPTED,
            "the key is encrypted; decrypt it first: openssl pkey -in key.pem -out plain.pem",
        ),
        ("-----BEGIN PRIVATE KEY-----\nabc", "the PEM text has no key in it"),
        (
            "-----BEGIN CERTIFICATE-----\nabc\n-----END CERTIFICATE-----",
            "a PEM block \"CERTIFICATE\" is no key; extract the key first",
        ),
        (
            &cut,
            "the PRIVATE KEY cannot be read; there are RSA with 2048 bits or more, EC on P-256 or \
             P-384, Ed25519",
        ),
        (r#"{"kty":"RSA","n":"AQ"}"#, "the JWK has no `e` that is a string"),
        (
            r#"{"kty":"oct","k":"*"}"#,
            "the JWK's `k`: the text is no base64url: invalid symbol 42, offset 0.",
        ),
        (
            r#"{"kty":"EC","crv":"P-521","x":"","y":""}"#,
            "the JWK's `crv` is \"P-521\"; there are P-256, P-384 and Ed25519",
        ),
        (r#"{"kty":"PQ"}"#, "the JWK's `kty` is \"PQ\"; there are oct, RSA, EC, OKP"),
    ] {
        let said = message(run("key", vec![key.into()]));
        assert_eq!(said, format!("crypto.key: argument 1 (key): {problem}"));
    }
    assert_eq!(
        message(run("key", vec![Value::Int(1)])),
        "crypto.key: argument 1 (key) must be a secret, a PEM text, a JWK or a key of crypto.key, got \
         a number"
    );
    assert_eq!(
        message(run("sign", vec!["RS257".into(), "k".into(), "".into()])),
        "crypto.sign: unknown algorithm `RS257`, did you mean `RS256`?"
    );
}

#[test]
fn a_jwk_may_be_a_table() {
    let jwk = map([("kty", "oct".into()), ("k", "c2VjcmV0".into())]);
    let values = vec!["HS256".into(), jwk, "x".into()];
    let plain = vec!["HS256".into(), "secret".into(), "x".into()];
    assert_eq!(run("sign", values).unwrap(), run("sign", plain).unwrap());
}

#[test]
fn a_text_that_looks_like_a_key_but_is_none_is_a_secret() {
    for secret in ["{", "{\"a\":1}", "-----BEGIN", ""] {
        let mut args = Args::new("test", &["key"], vec![secret.into()]);
        assert_eq!(Key::take(&mut args, 0).unwrap().kind(), "secret", "{secret}");
    }
}

#[test]
fn equality_looks_at_every_byte() {
    for (a, b, same) in [("abc", "abc", true), ("abc", "abd", false), ("abc", "ab", false)] {
        assert_eq!(run("equal", vec![a.into(), b.into()]).unwrap(), same.into());
    }
}

#[test]
fn a_token_names_its_key_in_a_set() {
    let set = format!(
        r#"{{"keys":[{{"kid":"a","kty":"oct","k":"c2VjcmV0"}},{{"kid":"b",{}]}}"#,
        EC_JWK.trim_start_matches('{')
    );
    let signed = |id: Option<&str>, key: &str| {
        let headers = map([("kid", id.map_or(Value::Nil, Value::from))]);
        let options = if id.is_some() { map([("headers", headers)]) } else { Value::Nil };
        text("jwt.sign", vec![map([]), key.into(), options])
    };
    let check = |token: &str, keys: Value| {
        let verified = run("jwt.verify", vec![token.into(), keys]).unwrap();
        member(&verified, "error")
    };
    let as_table = || Value::from_json(&serde_json::from_str(&set).unwrap());
    for (id, key) in [("a", "secret"), ("b", EC_PKCS8)] {
        for keys in [as_table(), set.as_str().into()] {
            assert_eq!(check(&signed(Some(id), key), keys), Value::Nil, "{id}");
        }
    }
    let other = check(&signed(Some("b"), "secret"), as_table());
    assert_eq!(other, "HS256 needs a secret, got an EC key".into());
    let none = check(&signed(Some("c"), "secret"), as_table());
    assert_eq!(none, "the key set has no key \"c\"".into());
    let unnamed = check(&signed(None, "secret"), as_table());
    assert_eq!(unnamed, "the token names no key (`kid`), and the key set has 2".into());
    let one =
        map([("keys", Value::List(vec![map([("kty", "oct".into()), ("k", "c2VjcmV0".into())])]))]);
    assert_eq!(check(&signed(None, "secret"), one), Value::Nil);
}
