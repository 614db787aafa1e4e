//! Key services that nobody reaches, and metadata servers that say nothing: which one, why, and what to look at, for each
//! kind and for all of them in one file.
#![cfg(unix)]

mod sandbox;

use sandbox::Sandbox;
use sandbox::servers::{self, Server, Way};
use std::net::TcpListener;

const PLAIN: &str = "a: value\nb: two\n";
/// A password of a proxy.
const PASSWORD: &str = "hunter2-of-the-proxy";

/// A sandbox with `plain.yaml`, and `sealed.yaml` for a key of the server.
fn sealed(server: &Server) -> Sandbox {
    let sandbox = Sandbox::new();
    sandbox.write("plain.yaml", PLAIN);
    server.seal(&sandbox, &server.recipient("key"), &server.any_way());
    sandbox
}

/// The way and the text of a file led to another address.
fn led(server: &Server, sandbox: &Sandbox, address: &str) -> Way {
    let text = String::from_utf8(sandbox.read("sealed.yaml")).unwrap();
    sandbox.write("sealed.yaml", text.replace(server.url(), &format!("http://{address}")));
    server.way_to(address)
}

/// A port that nobody listens on.
fn closed() -> String {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string()
}

/// A server that takes connections and answers none of them, as long as it lives.
fn silent() -> TcpListener {
    TcpListener::bind("127.0.0.1:0").unwrap()
}

/// An address that connections to get no answer from: a queue that is full, and stays so as long as this lives.
#[cfg(target_os = "linux")]
struct BlackHole {
    address: std::net::SocketAddr,
    _queue: (rustix::fd::OwnedFd, Vec<std::net::TcpStream>),
}

#[cfg(target_os = "linux")]
impl BlackHole {
    fn new() -> BlackHole {
        use std::time::Duration;
        let listener = silent();
        let address = listener.local_addr().unwrap();
        rustix::net::listen(&listener, 0).unwrap();
        let waiting = std::iter::from_fn(|| std::net::TcpStream::connect_timeout(&address, Duration::from_millis(300)).ok()).collect();
        BlackHole { address, _queue: (listener.into(), waiting) }
    }
}

/// Neither opens nor seals along this way, and says these words; nothing is written.
#[track_caller]
fn in_vain(server: &Server, sandbox: &Sandbox, way: &Way, words: &[&str]) {
    let before = (sandbox.listing(), sandbox.read("plain.yaml"), sandbox.read("sealed.yaml"));
    let opening = sandbox.kveil(["decrypt", "-i", "-v", "sealed.yaml"]).way(way).run().refused(128);
    let recipient = way.recipient(server, "key");
    let wrapping = sandbox.kveil(["encrypt", "-i", server.flag, &recipient, "plain.yaml"]).way(way).run().refused(1);
    for said in [&opening, &wrapping] {
        let lower = said.to_lowercase();
        assert!(words.iter().any(|word| lower.contains(&word.to_lowercase())), "{}: none of {words:?} in {said}", server.flag);
        assert!(!said.contains("panicked") && !said.contains(PASSWORD), "{}: {said}", server.flag);
    }
    assert!(wrapping.contains("proxy") || wrapping.contains("SSL_CERT_FILE"), "{}: what to look at: {wrapping}", server.flag);
    assert_eq!((sandbox.listing(), sandbox.read("plain.yaml"), sandbox.read("sealed.yaml")), before);
}

#[test]
fn a_refused_connection_is_said_so() {
    for server in servers::all() {
        let sandbox = sealed(server);
        let way = led(server, &sandbox, &closed());
        in_vain(server, &sandbox, &way, &["connection refused"]);
    }
}

#[test]
fn a_name_that_nobody_knows_is_said_so() {
    for server in servers::all() {
        let sandbox = sealed(server);
        let way = led(server, &sandbox, "no-such-host.invalid:1");
        in_vain(server, &sandbox, &way, &["dns error"]);
    }
}

#[cfg(target_os = "linux")]
#[test]
fn an_address_that_does_not_answer_is_given_up_after_one_try() {
    let hole = BlackHole::new();
    let check = |server: &Server| {
        let sandbox = sealed(server);
        let way = led(server, &sandbox, &hole.address.to_string());
        in_vain(server, &sandbox, &way, &["no connection within 2 s", "HTTP connect timeout occurred after 2s"]);
    };
    std::thread::scope(|scope| servers::all().into_iter().for_each(|server| drop(scope.spawn(|| check(server)))));
}

/// Roles and tokens come from another service, which the SDK would ask again and again.
#[cfg(target_os = "linux")]
#[test]
fn where_roles_come_from_is_given_up_after_one_try_too() {
    let Some(aws) = servers::aws() else { return };
    let (sandbox, hole) = (sealed(aws), BlackHole::new());
    let recipient = format!("{}+{}", aws.recipient("key"), aws.recipient("role"));
    for way in ["environment", "web identity"] {
        let way = aws.way(way).with("AWS_ENDPOINT_URL_STS", &format!("http://{}", hole.address));
        let said = sandbox.kveil(["encrypt", "--kms", &recipient, "plain.yaml"]).way(&way).run().refused(1);
        assert!(said.contains("HTTP connect timeout occurred after 2s") && !said.contains("all attempts"), "{said}");
    }
}

#[cfg(target_os = "linux")]
#[test]
fn each_of_several_kinds_is_told_when_the_network_is_gone() {
    let all = servers::all();
    let (sandbox, hole) = (Sandbox::new(), BlackHole::new());
    sandbox.write("plain.yaml", PLAIN);
    let ways = all.iter().map(|server| server.any_way()).reduce(|all, way| all.and(&way));
    let Some(ways) = ways else { return };
    let keys: Vec<[String; 2]> = all.iter().map(|server| [server.flag.to_owned(), server.recipient("key")]).collect();
    let recipients = keys.iter().flatten().map(String::as_str).chain(["--age", sandbox::RECIPIENT_2]);
    let sealed = sandbox.kveil(["encrypt"].into_iter().chain(recipients).chain(["plain.yaml"])).way(&ways).run().ok();
    sandbox.write("sealed.yaml", sealed);
    let gone = all.iter().map(|server| led(server, &sandbox, &hole.address.to_string())).reduce(|all, way| all.and(&way)).unwrap();
    let said = sandbox.kveil(["decrypt", "sealed.yaml"]).way(&gone).run().refused(128);
    let told = ["no connection within", "connect timeout"].map(|words| said.matches(words).count()).iter().sum::<usize>();
    assert_eq!(told, all.len(), "{said}");
    assert!(said.contains(&format!("age {}", sandbox::RECIPIENT_2)), "{said}");
}

#[test]
fn a_proxy_that_is_down_is_told_without_its_password() {
    for server in servers::all() {
        let (sandbox, proxy) = (sealed(server), format!("http://ana:{PASSWORD}@{}", closed()));
        let mut way = led(server, &sandbox, "service.example.invalid:8200");
        for name in ["HTTP_PROXY", "http_proxy", "HTTPS_PROXY", "https_proxy"] {
            way = way.with(name, &proxy);
        }
        in_vain(server, &sandbox, &way, &["connection refused"]);
        for format in ["text", "json"] {
            let done = sandbox.kveil(["doctor", "--probe", "--format", format, "sealed.yaml"]).way(&way).run();
            let all = format!("{}{}", String::from_utf8_lossy(&done.out), done.err);
            assert!(all.contains("HTTPS_PROXY") && !all.contains(PASSWORD), "{all}");
        }
    }
}

#[test]
fn authorities_that_cant_be_read_are_named() {
    for server in servers::all() {
        let sandbox = sealed(server);
        sandbox.write("key.pem", "-----BEGIN PRIVATE KEY-----\n");
        for (file, why) in [("/no/such/file.pem", "can't be read"), ("key.pem", "holds no PEM certificate")] {
            let way = server.any_way().with("SSL_CERT_FILE", file);
            in_vain(server, &sandbox, &way, &[&format!("SSL_CERT_FILE={file}: the file {why}")]);
        }
    }
    let Some(gcp) = servers::gcp() else { return };
    let way = gcp.way("authorized user").with("SSL_CERT_FILE", "/no/such/file.pem");
    in_vain(gcp, &sealed(gcp), &way, &["SSL_CERT_FILE=/no/such/file.pem: the file can't be read"]);
}

#[test]
fn a_metadata_server_that_says_nothing_is_none() {
    let silent = silent();
    let address = silent.local_addr().unwrap().to_string();
    let url = format!("http://{address}");
    let nobody = |server: &Server, variables: &[(&str, &str)]| {
        let mut way = server.any_way();
        way.variables.retain(|(name, _)| ["SSL_CERT", "HTTPS_PROXY", "ENDPOINT"].iter().any(|part| name.contains(part)));
        way.variables.retain(|(name, _)| !name.starts_with("IDENTITY_"));
        variables.iter().fold(way, |way, (name, value)| way.with(name, value))
    };
    let said = |server: &Server, way: &Way| sealed(server).kveil(["decrypt", "sealed.yaml"]).way(way).run().refused(128);
    if let Some(aws) = servers::aws() {
        let way = nobody(aws, &[("AWS_EC2_METADATA_DISABLED", "false"), ("AWS_EC2_METADATA_SERVICE_ENDPOINT", &url)]);
        let said = said(aws, &way);
        assert!(said.contains("no credentials of AWS were found"), "{said}");
    }
    if let Some(gcp) = servers::gcp() {
        let said = said(gcp, &nobody(gcp, &[("GCE_METADATA_HOST", &address)]));
        assert!(said.contains(&format!("no metadata server: {address}: no answer within 1 s")), "{said}");
    }
    if let Some(azure) = servers::azure() {
        let way = nobody(azure, &[("AZURE_POD_IDENTITY_AUTHORITY_HOST", &url), ("AZURE_TOKEN_CREDENTIALS", "prod")]);
        let said = said(azure, &way);
        assert!(said.contains("no metadata server: no answer within 1 s"), "{said}");
    }
    drop(silent);
}

#[test]
fn a_program_for_a_token_runs_only_if_the_environment_allows_it() {
    let Some(gcp) = servers::gcp() else { return };
    let sandbox = sealed(gcp);
    let program = sandbox.write("program.sh", "#!/bin/sh\ntouch \"$0.ran\"\n");
    sandbox.shell("chmod +x program.sh").run().ok();
    let credentials = serde_json::json!({
        "type": "external_account", "audience": "//iam.googleapis.com/x", "subject_token_type": "urn:ietf:params:oauth:token-type:jwt",
        "token_url": format!("{}/token", gcp.url()), "credential_source": { "executable": { "command": program } },
    });
    let way = gcp.any_way().with("GOOGLE_CREDENTIALS", &credentials.to_string());
    let said = sandbox.kveil(["decrypt", "sealed.yaml"]).way(&way).run().refused(128);
    assert!(said.contains("GOOGLE_EXTERNAL_ACCOUNT_ALLOW_EXECUTABLES"), "{said}");
    assert!(!sandbox.path("program.sh.ran").exists());
    let allowed = way.with("GOOGLE_EXTERNAL_ACCOUNT_ALLOW_EXECUTABLES", "1");
    sandbox.kveil(["decrypt", "sealed.yaml"]).way(&allowed).run().refused(128);
    assert!(sandbox.path("program.sh.ran").exists());
}
