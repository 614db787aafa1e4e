use std::io::{Read as _, Write as _};
use std::net::TcpListener;

use super::*;
use crate::recipient::Environment;
use reqwest::StatusCode;
use reqwest::header::HeaderMap;

const KEY: &str = "projects/p/locations/global/keyRings/r/cryptoKeys/k";

fn reply(status: u16, body: &Json) -> Reply {
    Reply { status: StatusCode::from_u16(status).unwrap(), headers: HeaderMap::new(), body: Zeroizing::new(body.to_string().into_bytes()) }
}

fn session(universe: Option<&str>) -> Session {
    Session::of_token("secret", universe)
}

#[test]
fn a_key_is_named_by_its_whole_path_and_nothing_more() {
    assert!(check(KEY).is_ok());
    assert!(check("projects/example.com:p/locations/europe-west1/keyRings/r_1/cryptoKeys/k-1").is_ok());
    let versioned = check(&format!("{KEY}/cryptoKeyVersions/1")).unwrap_err().to_string();
    assert!(versioned.contains("nothing behind it"), "{versioned}");
    for wrong in
        ["", "p/r/k", "projects/p/locations/../keyRings/r/cryptoKeys/k", &format!("{KEY}:decrypt"), &format!("{KEY}?x"), &format!("{KEY}/")]
    {
        assert!(check(wrong).is_err(), "{wrong}");
    }
}

#[test]
fn an_answer_counts_only_with_fitting_checksums() {
    let sum = crc32c::crc32c(b"secret").to_string();
    let answer =
        |sum: Json, verified: Json| json!({"ciphertext": "c2VjcmV0", "ciphertextCrc32c": sum, "verifiedPlaintextCrc32c": verified});
    let opened = |status, body| checked(&ENCRYPT, &reply(status, &body)).map(|bytes| bytes.to_vec());
    assert_eq!(opened(200, answer(json!(sum), json!(true))), Some(b"secret".to_vec()));
    assert_eq!(opened(200, answer(json!(crc32c::crc32c(b"secret")), json!(true))), Some(b"secret".to_vec()));
    assert_eq!(opened(403, answer(json!(sum), json!(true))), None);
    assert_eq!(opened(200, answer(json!(sum), json!(false))), None);
    assert_eq!(opened(200, answer(json!("1"), json!(true))), None);
    assert_eq!(opened(200, json!({"ciphertext": "c2VjcmV0"})), None);
    assert_eq!(crc32c::crc32c(b"123456789"), 0xe306_9283, "the check value of RFC 3720");
}

#[test]
fn the_service_is_where_the_variables_say() {
    let at = |variables: &[(&str, &str)], universe| {
        let identities = Identities::new(Environment::fixed(variables.iter().copied()));
        endpoint(&session(universe), &identities)
    };
    assert_eq!(at(&[], None), "https://cloudkms.googleapis.com");
    assert_eq!(at(&[], Some("s3nsapis.fr")), "https://cloudkms.s3nsapis.fr");
    assert_eq!(at(&[("SOPS_GCP_KMS_UNIVERSE_DOMAIN", "other.example")], Some("s3nsapis.fr")), "https://cloudkms.other.example");
    let endpoint = ("SOPS_GCP_KMS_ENDPOINT", "kms.example:8443");
    assert_eq!(at(&[endpoint, ("SOPS_GCP_KMS_UNIVERSE_DOMAIN", "x")], None), "https://kms.example:8443");
    assert_eq!(at(&[("SOPS_GCP_KMS_ENDPOINT", "http://127.0.0.1:1/")], None), "http://127.0.0.1:1");
}

#[test]
fn a_refusal_names_the_permission_and_who_asked() {
    let denied = json!({"error": {"code": 403, "status": "PERMISSION_DENIED", "message": "Permission denied on resource"}});
    let said = said_no(&DECRYPT, &reply(403, &denied), "sops@p.iam").to_string();
    for part in
        ["403 PERMISSION_DENIED: Permission denied on resource", "asked as sops@p.iam", "roles/cloudkms.cryptoKeyDecrypter", "useToDecrypt"]
    {
        assert!(said.contains(part), "{part} in {said}");
    }
    let page = said_no(&ENCRYPT, &reply(502, &json!("<html>")), "x").to_string();
    assert!(page.contains("502 no reason given") && page.contains("try again later"), "{page}");
}

/// What a service is sent, up to the end of the question's body.
fn question_of(listener: &TcpListener) -> String {
    let (mut connection, _) = listener.accept().unwrap();
    let mut asked = Vec::new();
    while !asked.ends_with(b"}") {
        let mut part = [0; 4096];
        let length = connection.read(&mut part).unwrap();
        asked.extend_from_slice(&part[..length]);
    }
    connection.write_all(b"HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\nConnection: close\r\n\r\n").unwrap();
    String::from_utf8(asked).unwrap()
}

#[test]
fn a_question_carries_the_checksum_the_token_and_the_project_that_pays() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let endpoint = format!("http://{}", listener.local_addr().unwrap());
    let variables =
        [("SOPS_GCP_KMS_ENDPOINT", endpoint.as_str()), ("GOOGLE_OAUTH_ACCESS_TOKEN", "t0"), ("GOOGLE_CLOUD_QUOTA_PROJECT", "payer")];
    let identities = Identities::new(Environment::fixed(variables));
    let asked = std::thread::scope(|scope| {
        let service = scope.spawn(|| question_of(&listener));
        let answer = identities.network().run(ask(&ENCRYPT, KEY, b"123456789", &identities)).unwrap();
        assert!(answer.is_err());
        service.join().unwrap()
    });
    let parts = [
        "POST /v1/projects/p/locations/global/keyRings/r/cryptoKeys/k:encrypt HTTP/1.1",
        "authorization: Bearer t0",
        "x-goog-user-project: payer",
        r#"{"plaintext":"MTIzNDU2Nzg5","plaintextCrc32c":"3808858755"}"#,
    ];
    for part in parts {
        assert!(asked.contains(part), "{part} in {asked}");
    }
}
